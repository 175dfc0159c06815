import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createFileServer, type FileServer } from "./fileServer.ts";
import { createFileLayout } from "./layout.ts";

let root: string;
let server: FileServer;
let arriving = "";

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "file-server-"));
  await mkdir(join(root, "images", "p"), { recursive: true });
  await mkdir(join(root, "txfiles", "r", "workspace"), { recursive: true });
  await writeFile(join(root, "images", "p", "a b%20c?#.img"), "image");
  await writeFile(join(root, "txfiles", "r", "workspace", "witness.bin"), "0123456789");
  await writeFile(join(root, "node.key"), "secret");
  await symlink(join(root, "node.key"), join(root, "txfiles", "r", "link"));
  await symlink(root, join(root, "images", "up"));
  const layout = createFileLayout(root);
  const deps = { log: pino({ level: "silent" }), layout, isArriving: (path: string) => path === arriving };
  server = await createFileServer(deps, { host: "127.0.0.1", port: 0 });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await rm(root, { recursive: true });
});

/** fetch() would tidy the path before it is sent. */
function get(path: string, headers: Record<string, string> = {}, method = "GET") {
  return new Promise<{ status: number; body: string; headers: NodeJS.Dict<string | string[]> }>(
    (resolve, reject) => {
      request({ port: server.port, host: "127.0.0.1", path, headers, method }, (response) => {
        let body = "";
        response.setEncoding("utf8").on("data", (chunk) => {
          body += chunk;
        });
        response.on("end", () =>
          resolve({ status: response.statusCode ?? 0, body, headers: response.headers }),
        );
      })
        .on("error", reject)
        .end();
    },
  );
}

describe("the file server", () => {
  test("serves images and transaction files, whole and in ranges", async () => {
    expect(await get("/images/p/a%20b%2520c%3F%23.img")).toMatchObject({ status: 200, body: "image" });
    expect(await get("/txfiles/r/workspace/witness.bin")).toMatchObject({ status: 200, body: "0123456789" });
    const range = await get("/txfiles/r/workspace/witness.bin", { range: "bytes=2-4" });
    expect(range).toMatchObject({ status: 206, body: "234" });
    expect(range.headers["content-range"]).toBe("bytes 2-4/10");
  });

  test("a file that is still being written is a 206 without Content-Range", async () => {
    arriving = join(root, "images", "p", "late.img");
    const answer = await get("/images/p/late.img");
    expect(answer.status).toBe(206);
    expect(answer.headers["content-range"]).toBeUndefined();
  });

  test.each([
    "/node.key",
    "/images/../node.key",
    "/images/%2e%2e/node.key",
    "/images/..%2fnode.key",
    "/images/%2e%2e%2fnode.key",
    "/images/p/..%5c..%5cnode.key",
    "/images//node.key",
    "/images/%2Fetc/passwd",
    "/txfiles/%00",
    "/txfiles/r/workspace/witness.bin%00.txt",
    "/txfiles/r/link",
    "/images/up/node.key",
    "/images/%E0%A4%A",
    "/images/p",
    "/images/",
    "/",
    "/txfiles/r/workspace/absent",
    "http://127.0.0.1/node.key",
  ])("serves nothing at %s", async (path) => {
    const answer = await get(path);
    expect(answer.status).toBe(404);
    expect(answer.body).not.toContain("secret");
  });

  test("takes only GET and HEAD", async () => {
    expect((await get("/txfiles/r/workspace/witness.bin", {}, "HEAD")).headers["content-length"]).toBe("10");
    expect((await get("/txfiles/r/workspace/witness.bin", {}, "DELETE")).status).toBe(405);
  });
});
