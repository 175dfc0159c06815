import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type BlobStore, createBlobStore } from "./blobStore.ts";

let dir: string;
let blobs: BlobStore;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "gevulot-blobs-"));
  blobs = createBlobStore(join(dir, "blob"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const DATA = Buffer.from("a segment");
const HASH = createHash("sha256").update(DATA).digest("hex");

describe("createBlobStore", () => {
  it("keeps content by its hash, once", async () => {
    expect(await blobs.put(DATA)).toEqual({ hash: HASH, bytes: DATA.length });
    expect(await blobs.put(DATA, HASH)).toEqual({ hash: HASH, bytes: DATA.length });
    expect(Buffer.from(await blobs.readAll(HASH))).toEqual(DATA);
    expect(await blobs.size(HASH)).toBe(DATA.length);
    expect(await readdir(join(dir, "blob", "incoming"))).toEqual([]);
  });

  it("refuses content that isn't what was said, and keeps nothing of it", async () => {
    await expect(blobs.put(DATA, "0".repeat(64))).rejects.toMatchObject({ code: "BLOB_CORRUPT" });
    expect(await blobs.size(HASH)).toBeNull();
    expect(await readdir(join(dir, "blob", "incoming"))).toEqual([]);
  });

  it("keeps nothing of a source that breaks", async () => {
    const broken = (async function* () {
      yield DATA;
      throw new Error("cut");
    })();
    await expect(blobs.put(broken)).rejects.toThrow("cut");
    expect(await readdir(join(dir, "blob", "incoming"))).toEqual([]);
  });

  it("says of a file that it can't be read, also as the first of a new store", async () => {
    await expect(blobs.putFile(join(dir, "nowhere"))).rejects.toMatchObject({ code: "ENOENT" });
    expect(await readdir(join(dir, "blob", "incoming"))).toEqual([]);
    await writeFile(join(dir, "file"), DATA);
    expect(await blobs.putFile(join(dir, "file"))).toEqual({ hash: HASH, bytes: DATA.length });
  });

  it("goes on from an offset", async () => {
    await blobs.put(DATA);
    expect((await buffer(Readable.from(blobs.read(HASH, 2)))).toString()).toBe("segment");
  });

  it.each(["", "../../etc/passwd", "0".repeat(63), `${HASH}/..`, "A".repeat(64)])(
    "has no %j",
    async (hash) => {
      await expect(blobs.readAll(hash)).rejects.toMatchObject({ code: "BLOB_MISSING" });
    },
  );

  it("places a blob under a name, over what was there, again and again", async () => {
    const path = join(dir, "run", "segment", "0");
    await blobs.put(DATA);
    await blobs.place(HASH, path);
    await blobs.place(HASH, path);
    expect(await readFile(path, "utf8")).toBe("a segment");
    expect(await readdir(join(dir, "run", "segment"))).toEqual(["0"]);
  });

  it("takes a file in, and is not changed with it", async () => {
    const path = join(dir, "file");
    await writeFile(path, DATA);
    await blobs.putFile(path);
    await writeFile(path, "other");
    expect(Buffer.from(await blobs.readAll(HASH))).toEqual(DATA);
  });
});
