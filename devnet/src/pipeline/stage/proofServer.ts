import { mkdir, realpath, stat } from "node:fs/promises";
import { createServer, type IncomingMessage } from "node:http";
import { join, relative, sep } from "node:path";
import send from "send";
import { closeServer, listen } from "../../listen.ts";
import { isFileName } from "../admit/fileName.ts";
import type { SharedBase } from "../data/sharedBase.ts";
import { listenAt } from "../wire/listenAt.ts";

/** What the URLs name; segments, inputs and receipts stay inside. */
const SERVED = /^\/([^/]+)\/(snark|wrap)\/([^/]+)$/;

/**
 * Serves finished proofs at the URLs that GenerateProof hands out: files below `{base_dir}/proof`, nothing else.
 * @param url where a proxy or clients find it: its path may stand before the others, and need not
 */
export async function createProofServer(
  base: SharedBase,
  addr: string,
  url = "",
): Promise<AsyncDisposable & { readonly port: number }> {
  const folder = join(base.dir, "proof");
  await mkdir(folder, { recursive: true });
  const root = await realpath(folder);
  const prefix = pathOf(url);
  const find = async (request: IncomingMessage): Promise<string | null> => {
    const path = servedPath(request.url ?? "", prefix);
    if (path === null) return null;
    const file = join(root, path);
    if (!(await isThere(file)) && !(await base.fetch(join(folder, path)))) return null;
    // A node may have left a link there.
    const real = await realpath(file);
    return real.startsWith(root + sep) ? relative(root, real) : null;
  };
  const server = createServer((request, response) => {
    const refuse = (code: number, text: string): void => void response.writeHead(code).end(`${text}\n`);
    const missing = (): void => refuse(404, "not there: the proof is not finished, or there is no such run");
    if (request.method !== "GET" && request.method !== "HEAD") return refuse(405, "GET and HEAD only");
    find(request).then((file) => {
      if (file === null) return missing();
      const path = file.split(sep).map(encodeURIComponent).join("/");
      // Hidden names are allowed: a proof_id may begin with a dot.
      send(request, path, { root, dotfiles: "allow", index: false }).on("error", missing).pipe(response);
    }, missing);
  });
  await listen(server, listenAt(addr, "fileserver_addr"));
  const { port } = server.address() as { port: number };
  return { port, [Symbol.asyncDispose]: () => closeServer(server) };
}

/** Without a slash at its end. */
function pathOf(url: string): string {
  try {
    return decodeURIComponent(new URL(url).pathname).replace(/\/+$/, "");
  } catch {
    // What is no URL leads nowhere.
    return "";
  }
}

/** Of a request's URL; null where it names nothing that is served. */
function servedPath(url: string, prefix: string): string | null {
  try {
    const path = decodeURIComponent(url.replace(/[?#].*$/, ""));
    const below = path.startsWith(`${prefix}/`) ? path.slice(prefix.length) : path;
    const [, id, part, name] = SERVED.exec(below) ?? SERVED.exec(path) ?? [];
    return id && part && name && isFileName(id) && isFileName(name) ? join(id, part, name) : null;
  } catch {
    // A percent sign that stands for nothing.
    return null;
  }
}

function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}
