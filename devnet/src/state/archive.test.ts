import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { gunzipSync, gzipSync } from "node:zlib";
import { pack as tarPack } from "tar-stream";
import { afterEach, beforeEach, expect, test } from "vitest";
import { packState, unpackState } from "./archive.ts";
import { createBlobFolder } from "./blobFolder.ts";
import { withRoom } from "./diskFull.ts";
import { MANIFEST_FILE, type StateManifest } from "./stateManifest.ts";

let dir: string;
let file: string;
let manifest: StateManifest;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "archive-"));
  file = join(dir, "state.tar.gz");
  const source = join(dir, "source");
  const blobs = await createBlobFolder(source);
  const blob = await blobs.put(Readable.from([Buffer.alloc(100_000, "rows\n")]));
  const empty = await blobs.put(Readable.from([]));
  manifest = {
    format: "gevulot-devnet-state",
    version: 1,
    createdAt: "2026-01-01T00:00:00.000Z",
    createdBy: "test",
    nodes: [
      {
        name: "node0",
        database: { schemaVersion: 1, tables: [{ name: "program", columns: ["hash"], blob }], sequences: {} },
        files: [{ path: "txfiles/a/b", blob: empty }],
      },
    ],
    keys: [],
    blobs: [...blobs.list()],
  };
  await writeFile(join(source, MANIFEST_FILE), JSON.stringify(manifest));
  await packState(source, file, { force: false });
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const unpack = (path = file) => unpackState(path, join(dir, "unpacked"));

test("what is packed comes out as it was", async () => {
  expect(await unpack()).toEqual(manifest);
  for (const { hash, bytes } of manifest.blobs) {
    expect(await readFile(join(dir, "unpacked", "blobs", hash))).toHaveLength(bytes);
  }
});

test("a file is not replaced unasked, and nothing half-written is left", async () => {
  const source = join(dir, "source");
  await expect(packState(source, file, { force: false })).rejects.toMatchObject({
    code: "STATE_FILE_EXISTS",
  });
  await packState(source, file, { force: true });
  await rm(join(source, "blobs", manifest.blobs[0]!.hash));
  await expect(packState(source, join(dir, "other"), { force: false })).rejects.toThrow();
  await expect(packState(source, join(dir, "none", "other"), { force: false })).rejects.toThrow();
  expect((await readdir(dir)).sort()).toEqual(["source", "state.tar.gz"]);
});

test("an archive that has lost content at its end is told from a whole one", async () => {
  const whole = await readFile(file);
  const cut = join(dir, "cut");
  for (const length of [0, 1, 10, 100, Math.floor(whole.length / 2), whole.length - 60]) {
    await writeFile(cut, whole.subarray(0, length));
    await expect(unpack(cut), `${length} bytes`).rejects.toMatchObject({ code: "STATE_INVALID" });
  }
});

test("also one whose tar is cut, or whose bytes changed", async () => {
  const tar = gunzipSync(await readFile(file));
  const changed = join(dir, "changed");
  const cuts = [0, 300, 512, 1_024, 4_000, tar.length - 2_048].map((length) => tar.subarray(0, length));
  const at = tar.indexOf("rows\n");
  const flipped = Buffer.from(tar);
  flipped.writeUInt8(flipped.readUInt8(at) ^ 1, at);
  for (const bytes of [...cuts, flipped]) {
    await writeFile(changed, gzipSync(bytes));
    await expect(unpack(changed), `${bytes.length} bytes`).rejects.toMatchObject({ code: "STATE_INVALID" });
  }
});

test("what is no archive is said in words", async () => {
  const wrong = join(dir, "wrong");
  for (const [content, reason] of [
    ["", "cut off"],
    ["hello", "header"],
    [gzipSync("hello"), "cut off"],
    [gzipSync(""), "empty"],
  ] as const) {
    await writeFile(wrong, content);
    await expect(unpack(wrong)).rejects.toThrow(reason);
  }
  await mkdir(join(dir, "folder"));
  for (const path of [join(dir, "nowhere"), join(dir, "folder")]) {
    await expect(unpack(path)).rejects.toMatchObject({ code: "STATE_FILE_MISSING" });
  }
});

test.each<[string, object, string]>([
  ["a newer version", { version: 2 }, "STATE_TOO_NEW"],
  ["another format", { format: "other" }, "STATE_INVALID"],
  ["a path that climbs out", { keys: [{ path: "../../etc/passwd", blob: "0".repeat(64) }] }, "STATE_INVALID"],
  ["an absolute path", { keys: [{ path: "/etc/passwd", blob: "0".repeat(64) }] }, "STATE_INVALID"],
  ["a content that it does not list", { keys: [{ path: "keys/a", blob: "0".repeat(64) }] }, "STATE_INVALID"],
  ["a node's name", { nodes: [{ name: "../node0", database: {}, files: [] }] }, "STATE_INVALID"],
])("a manifest with %s is refused", async (_, change, code) => {
  const source = join(dir, "source");
  const text = JSON.stringify({ ...manifest, ...change });
  const tar = gunzipSync(await readFile(file));
  const old = JSON.stringify(manifest);
  expect(tar.indexOf(old)).toBe(512);
  await writeFile(join(source, MANIFEST_FILE), text);
  await expect(packState(source, join(dir, "new"), { force: false })).rejects.toMatchObject({ code });
});

test("what there is no room for is not unpacked", async () => {
  const huge = { hash: "1".repeat(64), bytes: 2 ** 52 };
  const text = JSON.stringify({ ...manifest, blobs: [...manifest.blobs, huge] });
  const tar = tarPack();
  tar.entry({ name: MANIFEST_FILE }, text);
  for (const { hash, bytes } of manifest.blobs)
    tar.entry({ name: `blobs/${hash}` }, Buffer.alloc(bytes, "rows\n"));
  tar.finalize();
  const parts: Buffer[] = [];
  for await (const part of tar) parts.push(part as Buffer);
  await writeFile(file, gzipSync(Buffer.concat(parts)));
  await expect(withRoom(dir, () => unpack())).rejects.toMatchObject({ code: "STATE_DISK_FULL" });
  expect(await readdir(join(dir, "unpacked", "blobs"))).toEqual([]);
});

test("what a later version may have besides is passed over", async () => {
  const source = join(dir, "source");
  await writeFile(join(source, MANIFEST_FILE), JSON.stringify({ ...manifest, later: { a: 1 } }));
  await packState(source, file, { force: true });
  expect(await unpack()).toEqual(manifest);
});
