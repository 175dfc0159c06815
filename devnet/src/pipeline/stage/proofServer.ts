import { realpath } from "node:fs/promises";
import { createServer } from "node:http";
import { join, sep } from "node:path";
import send from "send";
import { closeServer, listen } from "../../listen.ts";
import { listenAt } from "../wire/listenAt.ts";

/** What the URLs name; segments, inputs and receipts stay inside. */
const SERVED = /^\/[^/]+\/(?:snark|wrap)\/[^/]+$/;

/** Serves finished proofs at the URLs that GenerateProof hands out: files below `{base_dir}/proof`, nothing else. */
export async function createProofServer(
  baseDir: string,
  addr: string,
): Promise<AsyncDisposable & { port: number }> {
  const root = join(await realpath(baseDir), "proof");
  const server = createServer((request, response) => {
    const refuse = (code: number, text: string): void => void response.writeHead(code).end(`${text}\n`);
    const path = decodePath(request.url ?? "");
    if (request.method !== "GET" && request.method !== "HEAD") return refuse(405, "GET and HEAD only");
    if (path === null || !SERVED.test(path) || path.includes("/../") || path.includes("\0")) {
      return refuse(404, "no such file");
    }
    realpath(join(root, path)).then(
      (file) => {
        if (!file.startsWith(root + sep)) return refuse(404, "no such file");
        send(request, file, { dotfiles: "deny", index: false })
          .on("error", () => refuse(404, "no such file"))
          .pipe(response);
      },
      () => refuse(404, "not there: the proof is not finished, or there is no such run"),
    );
  });
  await listen(server, listenAt(addr, "fileserver_addr"));
  const { port } = server.address() as { port: number };
  return { port, [Symbol.asyncDispose]: () => closeServer(server) };
}

function decodePath(url: string): string | null {
  try {
    return decodeURIComponent(url.replace(/[?#].*$/, ""));
  } catch {
    return null;
  }
}
