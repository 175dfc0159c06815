import { realpath, stat } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join, relative, sep } from "node:path";
import type { Logger } from "pino";
import send from "send";
import type { Gate } from "../http/gate.ts";
import { closeServer, listen } from "../listen.ts";
import { type FileLayout, relativePathProblem } from "./layout.ts";
import { UPLOAD_PATH, UPLOADS_FOLDER, type Uploads } from "./uploads.ts";

export interface FileServer extends AsyncDisposable {
  readonly port: number;
}

export interface FileServerDeps {
  readonly log: Logger;
  readonly layout: FileLayout;
  /** Whether this file is being downloaded right now. */
  readonly isArriving: (path: string) => boolean;
  /** Who may ask; without it everybody. */
  readonly gate?: Gate;
  /** Takes `PUT /files/<BLAKE3>`; without it nobody can put a file here. */
  readonly uploads?: Uploads;
}

export interface FileServerOptions {
  readonly host: string;
  readonly port: number;
}

/** A whole upload must arrive within this time. */
const UPLOAD_TIMEOUT_MS = 30 * 60_000;

/**
 * Serves images and transaction files (protocol section 6), takes and serves uploads, and nothing else of the data directory: a path is
 * decoded once, must have plain segments, and its real place on the disk must be inside the folder that it names.
 */
export async function createFileServer(
  deps: FileServerDeps,
  options: FileServerOptions,
): Promise<FileServer> {
  const server = createServer({ requestTimeout: UPLOAD_TIMEOUT_MS }, (request, response) => {
    const isPublic = request.method !== "PUT";
    if (deps.gate?.admits(request, response, { isPublic }) === false) return;
    serve(deps, request, response).catch((error: unknown) => {
      deps.log.error({ err: error, url: request.url }, "the file server failed");
      if (!response.headersSent) answer(response, 500, "internal error");
      else response.destroy();
    });
  });
  await listen(server, { ...options, flag: "--http-download-port" });
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: () => closeServer(server),
  };
}

async function serve(
  deps: FileServerDeps,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (request.method === "PUT") {
    const checksum = UPLOAD_PATH.exec(request.url ?? "")?.[1];
    if (!deps.uploads) return refuseUpload(response);
    if (checksum !== undefined) return deps.uploads.take(request, response, checksum);
    return answer(response, 404, "PUT /files/<BLAKE3, 64 lowercase hex digits>");
  }
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.setHeader("allow", "GET, HEAD");
    return answer(response, 405, "only GET and HEAD");
  }
  const path = publicPath(request.url ?? "/");
  if (path === null) return answer(response, 404, "no such file");
  const root = join(deps.layout.root, path.folder);
  const file = join(root, path.rest);
  if (deps.isArriving(file)) return answer(response, 206, "the file is still being written, ask again");
  const inside = await realFile(root, file);
  if (inside === null) return answer(response, 404, "no such file");
  send(request, encodeURI(inside).replace(/[?#]/g, encodeURIComponent), {
    root: await realpath(root),
    dotfiles: "allow",
    index: false,
    cacheControl: false,
  })
    .on("error", (error: Error & { status?: number }) =>
      answer(response, error.status ?? 500, "no such file"),
    )
    .on("directory", () => answer(response, 404, "no such file"))
    .pipe(response);
}

function refuseUpload(response: ServerResponse): void {
  response.setHeader("connection", "close");
  answer(response, 403, "this node takes uploads only with --access-token-file, as others reach its files");
}

/** The folder and the path in it that a request names; null where it names nothing that is served. */
function publicPath(url: string): { folder: string; rest: string } | null {
  const upload = UPLOAD_PATH.exec(url)?.[1];
  if (upload !== undefined) return { folder: UPLOADS_FOLDER, rest: upload };
  let decoded: string;
  try {
    decoded = decodeURIComponent(url.replace(/[?#].*$/, ""));
  } catch {
    return null;
  }
  const match = /^\/(images|txfiles)\/(.+)$/s.exec(decoded);
  if (!match?.[1] || !match[2] || relativePathProblem(match[2]) !== null) return null;
  return { folder: match[1], rest: match[2] };
}

/** The file's path relative to the real root, or null where it is absent, no plain file, or a link leads outside. */
async function realFile(root: string, file: string): Promise<string | null> {
  try {
    const [realRoot, real] = await Promise.all([realpath(root), realpath(file)]);
    const inside = relative(realRoot, real);
    if (inside === "" || inside.startsWith(`..${sep}`) || inside === "..") return null;
    return (await stat(real)).isFile() ? inside : null;
  } catch {
    return null;
  }
}

function answer(response: ServerResponse, status: number, text: string): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8" }).end(`${text}\n`);
}
