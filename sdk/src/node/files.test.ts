import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { blake3 } from "@napi-rs/blake-hash";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startWireNode, type WireNode } from "../../../test/fixtures/wireNode.ts";
import type { FileHost } from "../context/platform.ts";
import { checksumFile } from "./checksumFile.ts";
import { downloadFile } from "./downloadFile.ts";
import { createFileHost } from "./fileHost.ts";
import { type ByteRange, parseRange } from "./parseRange.ts";

const CONTENT = randomBytes(300_000);
const CHECKSUM = blake3(CONTENT).toString("hex");

let folder: string;
let path: string;
let host: FileHost;
let node: WireNode;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sdk-files-"));
  path = join(folder, "image.img");
  await writeFile(path, CONTENT);
  host = await createFileHost();
  node = await startWireNode();
});
afterEach(async () => {
  await host.close();
  await node.close();
  await rm(folder, { recursive: true });
});

describe("checksumFile", () => {
  test("is BLAKE3, across chunks and for no bytes", async () => {
    const large = randomBytes(3 * 1024 * 1024 + 17);
    await writeFile(path, large);
    expect(await checksumFile(path)).toBe(blake3(large).toString("hex"));
    await writeFile(path, "");
    expect(await checksumFile(path)).toBe("af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
  });
  test("stops when aborted", async () => {
    await expect(checksumFile(path, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: "CANCELLED",
    });
  });
  test("names a file that can't be read", async () => {
    const missing = join(folder, "missing");
    const error = { code: "FILE_UNREADABLE", context: { path: missing, reason: "ENOENT" } };
    await expect(checksumFile(missing)).rejects.toMatchObject(error);
    await expect(checksumFile(folder)).rejects.toMatchObject({ context: { reason: "EISDIR" } });
  });
});

describe("the file host", () => {
  const add = () => host.add(path, { name: "my image é.img", checksum: CHECKSUM });

  test("serves a file and bytes under URLs with checksum and name", async () => {
    const url = add();
    expect(url).toMatch(new RegExp(`^http://127\\.0\\.0\\.1:\\d+/${CHECKSUM}/my%20image%20%C3%A9\\.img$`));
    const response = await fetch(url);
    expect(response.status).toBe(200);
    expect(response.headers.get("etag")).toBe(`"${CHECKSUM}"`);
    expect(Buffer.from(await response.arrayBuffer()).equals(CONTENT)).toBe(true);
    const inMemory = host.add(new Uint8Array([1, 2, 3]), { name: "in", checksum: "00".repeat(32) });
    expect([...Buffer.from(await (await fetch(inMemory)).arrayBuffer())]).toEqual([1, 2, 3]);
  });
  test.each<[string, Record<string, string>, number, [number, number] | null]>([
    ["from the middle", { range: "bytes=100000-" }, 206, [100_000, 300_000]],
    ["a part", { range: "bytes=10-19" }, 206, [10, 20]],
    ["past the end", { range: "bytes=299990-999999" }, 206, [299_990, 300_000]],
    ["the last bytes", { range: "bytes=-10" }, 206, [299_990, 300_000]],
    ["beyond", { range: "bytes=300000-" }, 416, null],
    ["of the same file", { range: "bytes=5-", "if-range": `"${CHECKSUM}"` }, 206, [5, 300_000]],
    ["of another file", { range: "bytes=5-", "if-range": '"other"' }, 200, [0, 300_000]],
    ["several", { range: "bytes=0-1,3-4" }, 200, [0, 300_000]],
  ])("range: %s", async (_, headers, status, slice) => {
    const response = await fetch(add(), { headers });
    expect(response.status).toBe(status);
    if (slice === null) return expect(response.headers.get("content-range")).toBe("bytes */300000");
    expect(Buffer.from(await response.arrayBuffer()).equals(CONTENT.subarray(...slice))).toBe(true);
    const contentRange = status === 206 ? `bytes ${slice[0]}-${slice[1] - 1}/300000` : null;
    expect(response.headers.get("content-range")).toBe(contentRange);
  });
  test("answers HEAD with the length and no body", async () => {
    const response = await fetch(add(), { method: "HEAD" });
    expect(response.headers.get("content-length")).toBe("300000");
    expect(await response.text()).toBe("");
  });
  test("serves a file of no bytes", async () => {
    await writeFile(path, "");
    const response = await fetch(add());
    expect([response.status, await response.text()]).toEqual([200, ""]);
  });
  test.each([
    ["GET", "/", 404],
    ["GET", "/../../../../etc/passwd", 404],
    ["GET", `/${"0".repeat(64)}/image.img`, 404],
    ["GET", `/${CHECKSUM}`, 404],
    ["GET", `/${CHECKSUM}/../../etc/passwd`, 404],
    ["GET", `//${CHECKSUM}/x`, 404],
    ["GET", `/${CHECKSUM}/x`, 404],
    ["PUT", `/${CHECKSUM}/my%20image%20%C3%A9.img`, 405],
    ["POST", `/${CHECKSUM}/my%20image%20%C3%A9.img`, 405],
  ])("refuses %s %s", async (method, target, status) => {
    const { port } = new URL(add());
    const answer = await new Promise<number | undefined>((resolve, reject) => {
      // Unlike fetch, this sends the path as it is.
      const sent = request({ host: "127.0.0.1", port, method, path: target }, (response) => {
        response.resume();
        resolve(response.statusCode);
      });
      sent.on("error", reject).end();
    });
    expect(answer).toBe(status);
  });
  test("breaks off where the file has gone", async () => {
    const url = add();
    await rm(path);
    await expect(fetch(url)).rejects.toThrow("fetch failed");
  });
  test("advertises another name", async () => {
    const other = await createFileHost({ host: "0.0.0.0", advertise: "app.example" });
    expect(other.add(path, { name: "a", checksum: CHECKSUM })).toMatch(/^http:\/\/app\.example:\d+\//);
    await other.close();
  });
  test("says which port is taken", async () => {
    const port = Number(new URL(add()).port);
    await expect(createFileHost({ port })).rejects.toMatchObject({
      code: "FILE_HOST_FAILED",
      context: { port },
    });
  });
  test("is gone after close, also with a download under way, and closes twice", async () => {
    const url = add();
    const response = await fetch(url);
    await Promise.all([host.close(), host.close()]);
    await response.body?.cancel().catch(() => {});
    await expect(fetch(url)).rejects.toThrow("fetch failed");
  });
});

test.each<[string | undefined, number, ByteRange | "unsatisfiable" | null]>([
  [undefined, 10, null],
  ["bytes=0-0", 10, { start: 0, end: 0 }],
  ["bytes=9-", 10, { start: 9, end: 9 }],
  ["bytes=-20", 10, { start: 0, end: 9 }],
  ["bytes=-0", 10, "unsatisfiable"],
  ["bytes=-5", 0, "unsatisfiable"],
  ["bytes=0-", 0, "unsatisfiable"],
  ["bytes=5-4", 10, null],
  ["bytes=-", 10, null],
  ["bytes=a-b", 10, null],
  ["lines=0-1", 10, null],
  [`bytes=0-${"9".repeat(400)}`, 10, null],
])("range %s of %i bytes", (header, size, range) => {
  expect(parseRange(header, size)).toEqual(range);
});

describe("downloadFile", () => {
  const target = () => join(folder, "deep", "target.bin");
  const url = () => `${node.url}/file`;
  const leftBehind = async () =>
    (await readdir(folder, { recursive: true })).filter((name) => name !== "image.img");

  test("leaves the file, and nothing else", async () => {
    node.files.set("/file", CONTENT);
    await downloadFile({ url: url(), path: target(), checksum: CHECKSUM.toUpperCase() });
    expect((await readFile(target())).equals(CONTENT)).toBe(true);
    expect(await leftBehind()).toEqual(["deep", join("deep", "target.bin")]);
  });

  test.each<[string, Parameters<WireNode["files"]["set"]>[1] | null, object, object]>([
    ["a file that is not there", null, {}, { code: "DOWNLOAD_FAILED", context: { status: 404 } }],
    [
      "another content",
      Buffer.from("other"),
      {},
      { code: "CHECKSUM_WRONG", context: { expected: CHECKSUM } },
    ],
    ["a longer file than allowed", CONTENT, { maxBytes: 1_000 }, { code: "BODY_TOO_LARGE" }],
    [
      "a longer file than announced",
      (_, response) => {
        for (let i = 0; i < 10; i++) response.write(CONTENT.subarray(0, 1_000));
        response.end();
      },
      { maxBytes: 5_000 },
      { code: "BODY_TOO_LARGE" },
    ],
    [
      "a file still being written",
      (_, response) => {
        response.writeHead(206);
        response.end("in progress");
      },
      {},
      { code: "DOWNLOAD_NOT_YET" },
    ],
    [
      "a connection that breaks",
      (_, response) => {
        response.writeHead(200, { "content-length": CONTENT.length });
        response.write(CONTENT.subarray(0, 100));
        setTimeout(() => response.destroy(), 20);
      },
      {},
      { code: "DOWNLOAD_FAILED", context: { status: null } },
    ],
    [
      "a server that stops sending",
      (_, response) => {
        response.write(CONTENT.subarray(0, 100));
      },
      { timeoutMs: 100 },
      { code: "DOWNLOAD_FAILED", message: expect.stringContaining("100 ms") },
    ],
    [
      "an abort in the middle",
      (_, response) => {
        response.write(CONTENT.subarray(0, 100));
      },
      { signal: AbortSignal.timeout(60) },
      { code: "CANCELLED" },
    ],
  ])("%s: throws, and leaves an older file as it was", async (_, file, options, error) => {
    if (file !== null) node.files.set("/file", file);
    const older = join(folder, "older.bin");
    await writeFile(older, "older");
    const download = downloadFile({ url: url(), path: older, checksum: CHECKSUM, ...options });
    await expect(download).rejects.toMatchObject(error);
    expect(await readFile(older, "utf8")).toBe("older");
    expect(await leftBehind()).toEqual(["older.bin"]);
  });
});
