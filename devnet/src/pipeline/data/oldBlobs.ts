import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { INCOMING } from "./blobStore.ts";

export interface StoredBlob {
  readonly hash: string;
  readonly path: string;
  readonly bytes: number;
  /** When it was stored, or last asked for. */
  readonly usedAtMs: number;
}

const DAY_MS = 86_400_000;
const FOLDER = /^[0-9a-f]{2}$/;
/** What was asked for a moment ago is about to be read. */
const IN_USE_MS = 600_000;

/** A store's blobs that nobody asked for since then. */
export async function listBlobs(root: string, beforeMs: number): Promise<StoredBlob[]> {
  const blobs: StoredBlob[] = [];
  for (const folder of (await namesIn(root)).filter((name) => FOLDER.test(name))) {
    for (const hash of await namesIn(join(root, folder))) {
      const path = join(root, folder, hash);
      const found = await stat(path).catch(() => null);
      if (found && found.mtimeMs < beforeMs) {
        blobs.push({ hash, path, bytes: found.size, usedAtMs: found.mtimeMs });
      }
    }
  }
  return blobs;
}

/** Removes what was asked for longest ago, until the others have room; never what is in use. */
export async function trimBlobs(root: string, maxBytes: number, nowMs = Date.now()): Promise<void> {
  const blobs = await listBlobs(root, Number.POSITIVE_INFINITY);
  blobs.sort((left, right) => left.usedAtMs - right.usedAtMs);
  let bytes = blobs.reduce((sum, blob) => sum + blob.bytes, 0);
  for (const blob of blobs) {
    if (bytes <= maxBytes || blob.usedAtMs > nowMs - IN_USE_MS) return;
    await rm(blob.path, { force: true });
    bytes -= blob.bytes;
  }
}

/** Removes what processes that were killed had begun to store. */
export async function removeUnfinished(root: string, nowMs = Date.now()): Promise<void> {
  const incoming = join(root, INCOMING);
  for (const name of await namesIn(incoming)) {
    const path = join(incoming, name);
    const found = await stat(path).catch(() => null);
    if (found && found.mtimeMs < nowMs - DAY_MS) await rm(path, { force: true });
  }
}

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
}
