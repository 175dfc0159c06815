import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { NodeLink } from "./nodeLink.ts";
import { notFound } from "./nodeLink.ts";

const START_TIMEOUT_MS = 15_000;

/**
 * Hands on a file that a node serves. What a program made must never become a page of this origin: it is always a
 * download of unknown type.
 */
export async function relayFile(
  links: readonly NodeLink[],
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const stop = new AbortController();
  response.once("close", () => stop.abort());
  for (const link of links) {
    const upstream = await open(link, path, stop);
    if (upstream?.status !== 200 || upstream.body === null) {
      await upstream?.body?.cancel();
      continue;
    }
    downloadHeaders(response, fileNameOf(path));
    const length = upstream.headers.get("content-length");
    if (length !== null) response.setHeader("content-length", length);
    response.writeHead(200);
    if (request.method === "HEAD") {
      await upstream.body.cancel();
      return void response.end();
    }
    // A reader that goes away ends it; that is no failure.
    return pipeline(Readable.fromWeb(upstream.body as never), response).catch(() => {});
  }
  throw notFound("That file is on no node that answers: it may have been pruned, or is still on its way.");
}

async function open(link: NodeLink, path: string, stop: AbortController): Promise<Response | null> {
  const { url } = await link.call<{ url: string }>("getFileServer").catch(() => ({ url: null }));
  if (url === null) return null;
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), START_TIMEOUT_MS);
  // The address is the one at which peers reach the node, so this machine does, too.
  return fetch(`${url}${path}`, { signal: AbortSignal.any([stop.signal, late.signal]), redirect: "error" })
    .catch(() => null)
    .finally(() => clearTimeout(timer));
}

export function downloadHeaders(response: ServerResponse, name: string): void {
  const plain = name.replace(/[^\w.-]/g, "_");
  response.setHeader("content-type", "application/octet-stream");
  response.setHeader(
    "content-disposition",
    `attachment; filename="${plain}"; filename*=UTF-8''${encodeURIComponent(name).replace(/[!'()*]/g, "_")}`,
  );
}

function fileNameOf(path: string): string {
  return decodeURIComponent(path.split("/").at(-1) as string) || "file";
}
