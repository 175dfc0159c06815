import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { FileHost, FileHostOptions, ServedFile } from "../context/platform.ts";
import { GevulotError } from "../errors.ts";
import { sha3_256 } from "../protocol/hash.ts";
import { bytesToHex } from "../protocol/hex.ts";
import { parseRange } from "./parseRange.ts";

declare module "../errors.ts" {
  interface ErrorContexts {
    FILE_HOST_FAILED: { host: string; port: number };
  }
}

const DEFAULT_HOST = "127.0.0.1";
const READ_BYTES = 512 * 1024;
/** Listened at, these stand for every address, and no node can ask them. */
const WILDCARDS: readonly string[] = ["0.0.0.0", "::"];

interface Served extends ServedFile {
  /** The file's path, or its bytes. */
  readonly content: string | Uint8Array;
}

/** By the path of the URL. */
type ServedFiles = ReadonlyMap<string, Served>;

/**
 * An HTTP server for the files that a node is to fetch, and nothing else: GET and HEAD, single ranges, an ETag that is
 * the checksum. Throws `FILE_HOST_FAILED`.
 */
export async function createFileHost(options: FileHostOptions = {}): Promise<FileHost> {
  const { host = DEFAULT_HOST, port = 0 } = options;
  const files = new Map<string, Served>();
  const server = createServer((request, response) => {
    serve(files, request, response).catch(() => response.destroy());
  });
  await listen(server, host, port);
  const { port: actualPort } = server.address() as AddressInfo;
  const advertised = options.advertise ?? (WILDCARDS.includes(host) ? DEFAULT_HOST : host);
  const base = `http://${advertised.includes(":") ? `[${advertised}]` : advertised}:${actualPort}`;
  let closing: Promise<void> | undefined;
  return {
    add(content, file) {
      const { name, checksum } = file;
      const path =
        options.paths === "path" && typeof content === "string"
          ? `/${bytesToHex(sha3_256(new TextEncoder().encode(content)))}`
          : `/${checksum}/${encodeURIComponent(name)}`;
      files.set(path, { ...file, content });
      return base + path;
    },
    close() {
      closing ??= new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
      return closing;
    },
  };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) =>
      reject(
        new GevulotError(
          "FILE_HOST_FAILED",
          `Can't serve local files at ${host} port ${port}: ${cause.message}. Choose another fileHost host or port.`,
          { context: { host, port }, cause },
        ),
      ),
    );
    server.listen(port, host, resolve);
  });
}

async function serve(files: ServedFiles, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const file = files.get(request.url ?? "");
  if (file === undefined) return answer(response, 404);
  const { content, checksum, onBytes } = file;
  if (request.method !== "GET" && request.method !== "HEAD")
    return answer(response, 405, { allow: "GET, HEAD" });
  const size = typeof content === "string" ? (await stat(content)).size : content.length;
  const etag = `"${checksum}"`;
  const ifRange = request.headers["if-range"];
  const rangeHeader = ifRange === undefined || ifRange === etag ? request.headers.range : undefined;
  const range = parseRange(rangeHeader, size);
  if (range === "unsatisfiable") return answer(response, 416, { "content-range": `bytes */${size}` });
  const { start, end } = range ?? { start: 0, end: size - 1 };
  response.writeHead(range === null ? 200 : 206, {
    "content-type": "application/octet-stream",
    "content-length": end - start + 1,
    "accept-ranges": "bytes",
    etag,
    ...(range === null ? {} : { "content-range": `bytes ${start}-${end}/${size}` }),
  });
  if (request.method === "HEAD" || end < start) {
    response.end();
    return;
  }
  const body =
    typeof content === "string"
      ? createReadStream(content, { start, end, highWaterMark: READ_BYTES })
      : Readable.from([content.subarray(start, end + 1)]);
  let done = start;
  body.on("data", (chunk: Uint8Array) => {
    done += chunk.length;
    onBytes?.(done, size);
  });
  await pipeline(body, response);
}

function answer(response: ServerResponse, status: number, headers: Record<string, string> = {}): void {
  response.writeHead(status, { "content-length": 0, ...headers });
  response.end();
}
