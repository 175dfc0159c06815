import { mkdtemp, readdir, rm } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { blake3 } from "@noble/hashes/blake3.js";
import { bytesToHex } from "gevulot-sdk/protocol";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createGate } from "../http/gate.ts";
import { createFileServer, type FileServer } from "./fileServer.ts";
import { createFileLayout } from "./layout.ts";
import { createUploads } from "./uploads.ts";

type Body = NonNullable<RequestInit["body"]>;

const MAX_BYTES = 1_000_000;
const TOKEN = "0123456789abcdef";
const log = pino({ level: "silent" });
const file = new Uint8Array(300_000).map((_, index) => index);
const checksum = bytesToHex(blake3(file));

let root: string;
let server: FileServer;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "uploads-"));
  const gate = createGate({ corsOrigins: [], allowedHosts: [], token: TOKEN, callsPerSecond: null });
  server = await createFileServer(
    {
      log,
      layout: createFileLayout(root),
      isArriving: () => false,
      gate,
      uploads: createUploads({ root, maxBytes: MAX_BYTES }),
    },
    { host: "127.0.0.1", port: 0 },
  );
});
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await rm(root, { recursive: true, force: true });
});

const put = (
  name: string,
  body: Body,
  headers: Record<string, string> = { authorization: `Bearer ${TOKEN}` },
) =>
  fetch(`http://127.0.0.1:${server.port}/files/${name}`, {
    method: "PUT",
    body,
    headers,
    ...(body instanceof ReadableStream && { duplex: "half" }),
  } as RequestInit);
const get = (name: string) => fetch(`http://127.0.0.1:${server.port}/files/${name}`);

describe("uploads", () => {
  test("are stored under their checksum, then served to everybody; again is fine", async () => {
    expect((await get(checksum)).status).toBe(404);
    const answer = await put(checksum, file);
    expect([answer.status, answer.headers.get("location")]).toEqual([201, `/files/${checksum}`]);
    expect(new Uint8Array(await (await get(checksum)).arrayBuffer())).toEqual(file);
    expect((await put(checksum, file)).status).toBe(200);
  });

  test.each<[string, string, () => Body, Record<string, string> | undefined, number]>([
    ["another content", "ab".repeat(32), () => file, undefined, 400],
    ["no checksum", "nothing", () => file, undefined, 404],
    ["a path", "..%2fnode.key", () => file, undefined, 404],
    ["no token", "ac".repeat(32), () => file.slice(0, 10), {}, 401],
    [
      "too much, not announced",
      "ad".repeat(32),
      () =>
        new ReadableStream({
          start(controller) {
            for (let i = 0; i < 11; i++) controller.enqueue(new Uint8Array(100_000));
            controller.close();
          },
        }),
      undefined,
      413,
    ],
  ])("%s is refused and leaves nothing", async (_, name, body, headers, status) => {
    expect((await put(name, body(), headers)).status).toBe(status);
    expect(await readdir(join(root, "uploads"))).toEqual([checksum]);
  });

  test("one that is cut leaves nothing", async () => {
    const path = `/files/${"ae".repeat(32)}`;
    const headers = { "content-length": 1_000, authorization: `Bearer ${TOKEN}` };
    const cut = request({ port: server.port, host: "127.0.0.1", method: "PUT", path, headers });
    cut.on("error", () => {});
    cut.write("some");
    await expect.poll(async () => (await readdir(join(root, "uploads"))).length).toBe(2);
    cut.destroy();
    await expect.poll(() => readdir(join(root, "uploads"))).toEqual([checksum]);
  });

  test("a node that others reach takes none without a token", async () => {
    const deps = { log, layout: createFileLayout(root), isArriving: () => false };
    await using open = await createFileServer(deps, { host: "127.0.0.1", port: 0 });
    const answer = await fetch(`http://127.0.0.1:${open.port}/files/${checksum}`, {
      method: "PUT",
      body: "x",
    });
    expect([answer.status, await answer.text()]).toEqual([
      403,
      expect.stringContaining("--access-token-file"),
    ]);
  });
});
