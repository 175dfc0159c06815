import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type BlobStore, createBlobStore } from "./blobStore.ts";
import { removeUnfinished, trimFolders } from "./oldBlobs.ts";

const HOUR_S = 3_600;
let root: string;
let blobs: BlobStore;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "gevulot-blobs-"));
  blobs = createBlobStore(root);
});
afterEach(() => rm(root, { recursive: true, force: true }));

const age = async (path: string, seconds: number): Promise<void> => {
  const at = Date.now() / 1_000 - seconds;
  await utimes(path, at, at);
};
/** 100 bytes each, the first the oldest. */
const store = (...hours: readonly number[]): Promise<string[]> =>
  Promise.all(
    hours.map(async (ago, index) => {
      const { hash } = await blobs.put(Buffer.alloc(100, index));
      await age(blobs.path(hash), ago * HOUR_S);
      return hash;
    }),
  );
const kept = async (hashes: readonly string[]): Promise<boolean[]> =>
  Promise.all(hashes.map(async (hash) => (await blobs.size(hash)) !== null));

describe("trimFolders", () => {
  it("removes what was asked for longest ago until the rest has room", async () => {
    const hashes = await store(4, 3, 2, 1);
    await blobs.size(hashes[0]!);
    await trimFolders([root], 250);
    expect(await kept(hashes)).toEqual([true, false, false, true]);
  });

  it("leaves what is in use, although it has no room", async () => {
    const hashes = await store(2, 0, 0);
    await trimFolders([root], 10);
    expect(await kept(hashes)).toEqual([false, true, true]);
  });

  it("is content with a store that is not there yet", async () => {
    await trimFolders([join(root, "none")], 0);
  });
});

describe("removeUnfinished", () => {
  it("removes what a killed process had begun to store, a day later", async () => {
    await mkdir(join(root, "incoming"));
    for (const [name, hours] of [
      ["old", 25],
      ["fresh", 23],
    ] as const) {
      await writeFile(join(root, "incoming", name), "half");
      await age(join(root, "incoming", name), hours * HOUR_S);
    }
    await removeUnfinished(root);
    expect(await readdir(join(root, "incoming"))).toEqual(["fresh"]);
  });

  it("removes a folder that a killed process had begun to remove", async () => {
    await mkdir(join(root, "incoming", "run", "segment"), { recursive: true });
    await writeFile(join(root, "incoming", "run", "segment", "0"), "a segment");
    await removeUnfinished(root);
    expect(await readdir(join(root, "incoming"))).toEqual([]);
  });
});
