import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { blake3 } from "@napi-rs/blake-hash";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startWireNode, type WireNode } from "../../../test/fixtures/wireNode.ts";
import { downloadFile } from "./downloadFile.ts";
import { createFileHost } from "./fileHost.ts";

const CONTENT = randomBytes(5 * 2 ** 20 + 3);
const OTHER = randomBytes(CONTENT.length);
const checksum = blake3(CONTENT).toString("hex");
const HALF = 2.5 * 2 ** 20;

let folder: string;
let node: WireNode;
let asked: (string | undefined)[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sdk-resume-"));
  node = await startWireNode();
  asked = [];
});
afterEach(async () => {
  await node.close();
  await rm(folder, { recursive: true });
});

const target = () => join(folder, "image.img");
const partPath = () => `${target()}.tmp`;
const download = (options: { signal?: AbortSignal; timeoutMs?: number; idleTimeoutMs?: number } = {}) =>
  downloadFile({ url: `${node.url}/file`, path: target(), checksum, ...options });

interface Answer {
  readonly content?: Buffer;
  readonly etag?: string;
  readonly ranges?: boolean;
  /** Break the connection when this many bytes of the file have been sent. */
  readonly cutAt?: number;
  /** Keep it open there, and send nothing. */
  readonly hangs?: boolean;
}

/** Answers request after request as the list says, the last one for ever. */
function serve(...answers: Answer[]): void {
  node.files.set("/file", (request: IncomingMessage, response: ServerResponse) => {
    const answer = answers[Math.min(asked.length, answers.length - 1)] ?? {};
    const { content = CONTENT, etag, ranges = true, cutAt, hangs } = answer;
    const condition = request.headers["if-range"];
    asked.push(condition === undefined ? request.headers.range : `${request.headers.range} if ${condition}`);
    const from = /^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1];
    const start = from !== undefined && ranges && (condition ?? etag) === etag ? Number(from) : 0;
    if (start >= content.length) {
      response.writeHead(416, { "content-range": `bytes */${content.length}` }).end();
      return;
    }
    response.writeHead(start > 0 ? 206 : 200, {
      "content-length": content.length - start,
      ...(etag === undefined ? {} : { etag }),
      ...(start > 0 ? { "content-range": `bytes ${start}-${content.length - 1}/${content.length}` } : {}),
    });
    if (cutAt === undefined) return void response.end(content.subarray(start));
    if (hangs) return void response.write(content.subarray(start, cutAt));
    response.write(content.subarray(start, cutAt), async () => {
      // Node.js drops what it has received and not yet handed on when a connection breaks.
      await expect.poll(async () => (await stat(partPath())).size, { interval: 10 }).toBe(cutAt);
      response.destroy();
    });
  });
}

async function expectComplete(): Promise<void> {
  expect((await readFile(target())).equals(CONTENT)).toBe(true);
  expect(await readdir(folder)).toEqual(["image.img"]);
}

const rangesAsked = () => asked.map((range) => (range === undefined ? 0 : Number(/\d+/.exec(range)?.[0])));

describe("a cut download", () => {
  test("goes on where it was cut, as often as that happens", async () => {
    serve({ cutAt: 2 ** 20 }, { cutAt: 3 * 2 ** 20 }, {});
    await download();
    await expectComplete();
    expect(rangesAsked()).toEqual([0, 2 ** 20, 3 * 2 ** 20]);
  });

  test("starts over where the server knows no ranges", async () => {
    serve({ cutAt: HALF, ranges: false }, { ranges: false });
    await download();
    await expectComplete();
  });

  test.each<[string, Answer]>([
    ["an ETag tells it", { etag: '"new"' }],
    ["the checksum tells it", {}],
  ])("starts over where another file is there by now, and %s", async (_, { etag }) => {
    serve({ content: OTHER, cutAt: HALF, ...(etag ? { etag: '"old"' } : {}) }, { ...(etag ? { etag } : {}) });
    await download();
    await expectComplete();
    expect(asked[1]).toBe(etag ? `bytes=${HALF}- if "old"` : `bytes=${HALF}-`);
  });

  test("does not take a weak ETag for the same bytes", async () => {
    serve({ cutAt: HALF, etag: 'W/"a"' }, { etag: 'W/"a"' });
    await download();
    expect(asked[1]).toBe(`bytes=${HALF}-`);
  });

  test("waits for a server that comes back", async () => {
    const port = Number(new URL(node.url).port);
    serve({ cutAt: HALF });
    const done = download();
    await expect.poll(() => asked.length, { interval: 10 }).toBe(1);
    await expect.poll(async () => (await stat(partPath())).size, { interval: 10 }).toBe(HALF);
    await node.close();
    await new Promise((resolve) => setTimeout(resolve, 300));
    node = await startWireNode(port);
    serve({});
    await done;
    await expectComplete();
  });

  test("fails where nothing new comes, and says why", async () => {
    serve({ cutAt: HALF });
    await expect(download()).rejects.toMatchObject({ code: "DOWNLOAD_FAILED", context: { status: null } });
    expect((await stat(partPath())).size).toBe(HALF);
  });
});

describe("a server that sends nothing", () => {
  test("in the middle is asked again for the rest", async () => {
    serve({ cutAt: HALF, hangs: true }, {});
    await download({ idleTimeoutMs: 1_000 });
    await expectComplete();
    expect(rangesAsked()).toEqual([0, HALF]);
  });

  test("at all, or ever again, is given up", async () => {
    const idle = { code: "DOWNLOAD_FAILED", message: expect.stringContaining("nothing came for 50 ms") };
    node.files.set("/file", () => {});
    await expect(download({ idleTimeoutMs: 50 })).rejects.toMatchObject(idle);
    serve({ cutAt: HALF, hangs: true });
    await expect(download({ idleTimeoutMs: 50 })).rejects.toMatchObject(idle);
  });

  test("is waited for while something comes, however slowly", async () => {
    node.files.set("/file", async (_, response) => {
      response.writeHead(200, { "content-length": CONTENT.length });
      for (let at = 0; at < CONTENT.length; at += 2 ** 20) {
        response.write(CONTENT.subarray(at, at + 2 ** 20));
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
      response.end();
    });
    await download({ idleTimeoutMs: 1_500 });
    await expectComplete();
  });
});

describe("what an earlier download left", () => {
  test("is gone on with after an abort", async () => {
    const host = await createFileHost();
    const file = join(folder, "served");
    await writeFile(file, CONTENT);
    serve({ cutAt: HALF });
    const stop = new AbortController();
    const first = download({ signal: stop.signal });
    await expect
      .poll(async () => (await stat(partPath()).catch(() => undefined))?.size, { interval: 10 })
      .toBe(HALF);
    stop.abort();
    await expect(first).rejects.toMatchObject({ code: "CANCELLED" });

    let range: string | null = null;
    const watch: typeof fetch = (input, init) => {
      range = new Headers(init?.headers).get("range");
      return fetch(input, init);
    };
    const url = host.add(file, { name: "served", checksum });
    await downloadFile({ url, path: target(), checksum, fetch: watch });
    expect(range).toBe(`bytes=${HALF}-`);
    await host.close();
    await rm(file);
    await expectComplete();
  });

  test.each<[string, Buffer]>([
    ["a part of another file", OTHER.subarray(0, HALF)],
    ["all of another file", OTHER],
    ["all of the file", CONTENT],
    ["more than the file", Buffer.concat([CONTENT, OTHER])],
    ["nothing", Buffer.alloc(0)],
  ])("%s: the file is right in the end", async (_, left) => {
    await writeFile(partPath(), left);
    serve({});
    await download();
    await expectComplete();
  });

  test("does not stay where the file itself is wrong", async () => {
    await writeFile(partPath(), OTHER.subarray(0, HALF));
    serve({ content: OTHER });
    await expect(download()).rejects.toMatchObject({ code: "CHECKSUM_WRONG" });
    expect(await readdir(folder)).toEqual([]);
  });
});
