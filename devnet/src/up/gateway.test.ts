import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { closeServer } from "../listen.ts";
import { createGateway } from "./gateway.ts";

const TOKEN = "a-token-of-sixteen-characters";
const PORT = 24_610;
const RPC = `http://127.0.0.1:${PORT}`;
const FILES = `http://127.0.0.1:${PORT + 1}`;

let dir = "";
let seen: IncomingMessage[] = [];
const servers: Server[] = [];
let gateway: AsyncDisposable;

/** Answers with what it got; `/events` begins a stream and goes on when the next call comes. */
async function startInner(): Promise<string> {
  const server = createServer((request, response) => {
    seen.push(request);
    if (request.url === "/events")
      return void response.writeHead(200, { "content-type": "text/event-stream" }).flushHeaders();
    if (request.url === "/full") {
      response.writeHead(413, { connection: "close" });
      return void response.write("full", () => setTimeout(() => request.socket.resetAndDestroy(), 100));
    }
    response.setHeader("x-inner", "yes");
    request.pipe(response);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  servers.push(server);
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "gateway-"));
  const tokenFile = join(dir, "token");
  await writeFile(tokenFile, `${TOKEN}\n`);
  const node = { rpcUrl: await startInner(), httpUrl: await startInner() };
  gateway = await createGateway([node], { host: "0.0.0.0", port: PORT, tokenFile });
});
afterAll(async () => {
  await gateway[Symbol.asyncDispose]();
  await Promise.all(servers.map(closeServer));
  await rm(dir, { recursive: true });
});

const authorization = `Bearer ${TOKEN}`;

test("a call goes through with the token, as one of the node's own machine", async () => {
  seen = [];
  const body = JSON.stringify({ method: "getRunStatus" });
  const response = await fetch(RPC, {
    method: "POST",
    body,
    headers: { authorization, host: "devnet.example" },
  });
  expect([response.status, response.headers.get("x-inner"), await response.text()]).toEqual([
    200,
    "yes",
    body,
  ]);
  expect(seen[0]?.headers).toMatchObject({ host: expect.stringMatching(/^127\.0\.0\.1:/) });
  expect(seen[0]?.headers).not.toHaveProperty("authorization");
});

test.each([
  ["a call without the token", RPC, { method: "POST" }, 401],
  [
    "a call with another token",
    RPC,
    { method: "POST", headers: { authorization: `Bearer ${"x".repeat(29)}` } },
    401,
  ],
  ["events without the token", `${RPC}/events`, {}, 401],
  ["an upload without the token", `${FILES}/uploads/x`, { method: "PUT", body: "x" }, 401],
  [
    "a page of another site",
    RPC,
    { method: "POST", headers: { authorization, origin: "https://evil.example" } },
    403,
  ],
  ["a download", `${FILES}/txfiles/x`, {}, 200],
  [
    "an upload with the token",
    `${FILES}/uploads/x`,
    { method: "PUT", body: "x", headers: { authorization } },
    200,
  ],
])("%s", async (_, url, init, status) => {
  seen = [];
  const response = await fetch(url, init);
  await response.text();
  expect(response.status).toBe(status);
  expect(seen).toHaveLength(status === 200 ? 1 : 0);
});

test("a stream is open before its first word, and its end reaches the node", async () => {
  seen = [];
  const stop = new AbortController();
  const response = await fetch(`${RPC}/events`, { headers: { authorization }, signal: stop.signal });
  expect(response.headers.get("content-type")).toBe("text/event-stream");
  const ended = new Promise((done) => seen[0]?.socket.once("close", done));
  stop.abort();
  await ended;
});

test("an upload that the node cuts with its answer gets that, and nothing after it", async () => {
  const said = await new Promise<string>((resolve) => {
    const socket = connect(PORT + 1, "127.0.0.1");
    let text = "";
    socket.setEncoding("utf8").on("data", (chunk) => {
      text += chunk;
      // The node does not hear the rest.
      for (let parts = 0; parts < 64; parts++) socket.write("x".repeat(65_536));
    });
    socket.on("error", () => {}).once("close", () => resolve(text));
    socket.setTimeout(20_000, () => socket.destroy());
    socket.write(
      `PUT /full HTTP/1.1\r\nHost: x\r\nAuthorization: ${authorization}\r\nContent-Length: 99999999\r\n\r\nx`,
    );
  });
  expect(said).toMatch(/^HTTP\/1.1 413 [\s\S]*full\s*$/);
});

test("a node that is gone is said", async () => {
  const node = { rpcUrl: "http://127.0.0.1:9", httpUrl: "http://127.0.0.1:9" };
  await using _ = await createGateway([node], { host: "127.0.0.1", port: PORT + 2 });
  const response = await fetch(`http://127.0.0.1:${PORT + 2}`);
  expect([response.status, await response.text()]).toEqual([
    502,
    expect.stringContaining("can't be reached"),
  ]);
});

test("beyond this machine it wants a token, or to be told that it needs none", async () => {
  const open = { host: "0.0.0.0", port: PORT + 2 };
  await expect(createGateway([], open)).rejects.toMatchObject({ code: "RPC_UNPROTECTED" });
  await using _ = await createGateway([], { ...open, allowOpen: true });
});

test("a port that is taken is said, and what was opened is closed", async () => {
  const node = { rpcUrl: RPC, httpUrl: FILES };
  await expect(createGateway([node], { host: "127.0.0.1", port: PORT - 1 })).rejects.toMatchObject({
    code: "PORT_TAKEN",
  });
  await expect(fetch(`http://127.0.0.1:${PORT - 1}`)).rejects.toThrow();
});
