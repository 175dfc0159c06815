import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { Agent, createServer, get, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createExplorer, type Explorer } from "./explorerServer.ts";

const RUN = "ab".repeat(32);
const PAGE = "<!doctype html><title>x</title>";

let dir: string;
let explorer: Explorer;
/** Stands for a node that answers with what a test says. */
let node: Server;
let said: (method: string) => string = () => '{"result":{"Err":{"NotFound":"x"}}}';
const files = new Map<string, string>();

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "explorer-"));
  await writeFile(join(dir, "index.html"), PAGE);
  await writeFile(join(dir, "explorer-ABCDEFGH.js"), "1");
  node = createServer(async (request, response) => {
    const file = files.get(request.url ?? "");
    if (request.method === "GET") {
      response.writeHead(file ? 200 : 404, { "content-length": file?.length ?? 0 }).end(file);
      return;
    }
    let body = "";
    for await (const chunk of request) body += chunk;
    response.end(said((JSON.parse(body) as { method: string }).method));
  });
  await new Promise<void>((resolve) => node.listen(0, "127.0.0.1", resolve));
  const rpcUrl = `http://127.0.0.1:${(node.address() as AddressInfo).port}`;
  explorer = await createExplorer([{ name: "node0", rpcUrl }], {
    pageFolder: dir,
    allowedHosts: ["here.example"],
  });
});
afterAll(async () => {
  await explorer?.[Symbol.asyncDispose]();
  node?.closeAllConnections();
  await new Promise((resolve) => node?.close(resolve));
  await rm(dir, { recursive: true, force: true });
});

/** fetch() lets nobody set Host and Origin, and mends paths. */
function ask(path: string, headers: Record<string, string> = {}, method = "GET") {
  return new Promise<{ status: number; headers: NodeJS.Dict<string | string[]>; body: Buffer }>(
    (resolve, reject) => {
      const options = { port: explorer.port, host: "127.0.0.1", path, method, headers, agent: false };
      request(options, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(chunks),
          }),
        );
      })
        .on("error", reject)
        .end();
    },
  );
}

describe("who may ask, and what", () => {
  test.each([
    ["/", {}, "GET", 200],
    [`/runs/${RUN}`, {}, "HEAD", 200],
    ["/", { host: "here.example" }, "GET", 200],
    ["/", { host: "evil.example" }, "GET", 403],
    ["/api/network", { host: "evil.example:80" }, "GET", 403],
    ["/api/network", { origin: "http://evil.example" }, "GET", 403],
    ["/api/network", { origin: "null" }, "GET", 403],
    ["/api/runs", {}, "POST", 405],
    ["/runs/abc", {}, "GET", 404],
    ["/index.html", {}, "GET", 404],
    ["/assets/../index.html", {}, "GET", 404],
    ["/assets/..%2findex.html", {}, "GET", 404],
    ["//evil.example/", {}, "GET", 404],
    ["/api/runs?limit=0", {}, "GET", 400],
    ["/api/runs?state=x", {}, "GET", 400],
    ["/api/runs?program=x", {}, "GET", 400],
    [`/api/runs?before=${"x".repeat(200)}`, {}, "GET", 400],
    ["/api/search?q=xyz", {}, "GET", 400],
    ["/api/tasks/0a/console?node=04", {}, "GET", 400],
    [`/api/runs/${RUN}`, {}, "GET", 404],
  ])("%s %j %s → %i", async (path, headers, method, status) => {
    const answer = await ask(path, headers as Record<string, string>, method);
    expect(answer.status).toBe(status);
    expect(answer.headers).toMatchObject({
      "content-security-policy": expect.stringContaining("default-src 'none'; script-src 'self'"),
      "x-content-type-options": "nosniff",
    });
    expect(answer.headers["access-control-allow-origin"]).toBeUndefined();
    if (status >= 400)
      expect(JSON.parse(answer.body.toString())).toEqual({
        code: expect.stringMatching(/^EXPLORER_/),
        message: expect.any(String),
      });
  });
});

describe("the page", () => {
  test("goes compressed to those who take it, and may be kept where its name says what is in it", async () => {
    const plain = await ask("/");
    expect([plain.body.toString(), plain.headers["cache-control"]]).toEqual([PAGE, "no-cache"]);
    const packed = await ask("/assets/explorer-ABCDEFGH.js", { "accept-encoding": "br, gzip" });
    expect(packed.headers["content-encoding"]).toBe("gzip");
    expect(packed.headers["cache-control"]).toContain("immutable");
    expect(gunzipSync(packed.body).toString()).toBe("1");
  });

  test("that was not built is said, and the command that builds it", async () => {
    await using unbuilt = await createExplorer([], { pageFolder: join(dir, "none") });
    const answer = await fetch(unbuilt.url);
    expect(answer.status).toBe(503);
    expect(await answer.json()).toMatchObject({ message: expect.stringContaining("npm run build") });
  });
});

describe("nodes that misbehave", () => {
  test.each([
    ["no JSON", "<html>", /no JSON/],
    ["a refusal", '{"result":{"Err":{"InternalError":"the database is away"}}}', /the database is away/],
    ["no such method", '{"error":{"code":-32601,"message":"Method not found"}}', /Method not found/],
    ["nothing", "{}", /refused/],
  ])("%s: it is said which, and why", async (_, text, words) => {
    said = () => text;
    const answer = await ask("/api/runs");
    expect(answer.status).toBe(502);
    expect(JSON.parse(answer.body.toString()).message).toMatch(words);
    expect(answer.body.toString()).toContain("node0");
  });

  test("none that answers: it is said how to see why", async () => {
    await using alone = await createExplorer([{ name: "gone", rpcUrl: "http://127.0.0.1:9" }]);
    const answer = await fetch(`${alone.url}/api/runs`);
    expect(answer.status).toBe(502);
    expect(await answer.json()).toMatchObject({
      message: expect.stringMatching(/gone at .* does not answer: .*gevulot-devnet status/),
    });
  });
});

test("asking for many consoles over one connection leaves nothing behind on it", async () => {
  const publicKey = `04${"ab".repeat(64)}`;
  said = () => JSON.stringify({ result: { Ok: { publicKey } } });
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => void warnings.push(warning);
  process.on("warning", onWarning);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  try {
    for (let count = 0; count < 12; count++) {
      const path = `/api/tasks/${"0".repeat(16)}/console?node=${publicKey}`;
      const status = await new Promise((resolve, reject) => {
        get({ port: explorer.port, host: "127.0.0.1", path, agent }, (answer) =>
          answer.resume().once("end", () => resolve(answer.statusCode)),
        ).once("error", reject);
      });
      expect(status).toBe(404);
    }
    await new Promise((resolve) => setImmediate(resolve));
    expect(warnings.filter(({ name }) => name === "MaxListenersExceededWarning")).toEqual([]);
  } finally {
    agent.destroy();
    process.off("warning", onWarning);
  }
});

describe("files of programs", () => {
  const path = `${RUN}/${"cd".repeat(32)}/page.html`;
  beforeAll(() => {
    const url = `http://127.0.0.1:${(node.address() as AddressInfo).port}`;
    said = () => JSON.stringify({ result: { Ok: { url, takesUploads: false } } });
    files.set(`/txfiles/${path}`, "<script>alert(1)</script>");
  });

  test("are downloads of no type, whatever they say they are", async () => {
    const answer = await ask(`/files/tx/${path}`);
    expect(answer.body.toString()).toBe("<script>alert(1)</script>");
    expect(answer.headers).toMatchObject({
      "content-type": "application/octet-stream",
      "content-disposition": "attachment; filename=\"page.html\"; filename*=UTF-8''page.html",
      "content-length": "25",
    });
  });

  test.each([`/files/tx/${path}x`, `/files/tx/${RUN}/../../x`, `/files/images/${RUN}/none.img`, "/files/x"])(
    "%s is not there",
    async (missing) => {
      expect((await ask(missing)).status).toBe(404);
    },
  );
});
