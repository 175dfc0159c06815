import type { Dirent } from "node:fs";
import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { removeTree } from "../../removeTree.ts";
import { INCOMING } from "./blobStore.ts";

interface StoredFile {
  readonly name: string;
  readonly path: string;
  readonly bytes: number;
  /** When it was stored, or last asked for. */
  readonly usedAtMs: number;
}

/** Of a store: its name is its SHA-256. */
export type StoredBlob = StoredFile;

const DAY_MS = 86_400_000;
const BLOB = /^[0-9a-f]{64}$/;
/** What was asked for a moment ago is about to be read. */
const IN_USE_MS = 600_000;

/** A store's blobs that nobody asked for since then. */
export async function listBlobs(root: string, beforeMs: number, signal?: AbortSignal): Promise<StoredBlob[]> {
  const files = await listFiles(root, signal);
  return files.filter(({ name, usedAtMs }) => BLOB.test(name) && usedAtMs < beforeMs);
}

/** Removes of these folders what was asked for longest ago, until the others have room; never what is in use. */
export async function trimFolders(
  roots: readonly string[],
  maxBytes: number,
  nowMs = Date.now(),
): Promise<void> {
  const files = (await Promise.all(roots.map((root) => listFiles(root)))).flat();
  files.sort((left, right) => left.usedAtMs - right.usedAtMs);
  let bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  for (const { path, usedAtMs, bytes: freed } of files) {
    if (bytes <= maxBytes || usedAtMs > nowMs - IN_USE_MS) return;
    await rm(path, { force: true });
    bytes -= freed;
  }
}

/** Removes what processes that were killed had begun to store, and folders, which they had begun to remove. */
export async function removeUnfinished(root: string, nowMs = Date.now()): Promise<void> {
  const incoming = join(root, INCOMING);
  for (const entry of await entriesOf(incoming)) {
    const path = join(incoming, entry.name);
    if (entry.isDirectory()) await removeTree(path);
    else if (((await stat(path).catch(() => null))?.mtimeMs ?? nowMs) < nowMs - DAY_MS)
      await rm(path, { force: true });
  }
}

async function listFiles(folder: string, signal?: AbortSignal): Promise<StoredFile[]> {
  const files: StoredFile[] = [];
  for (const entry of await entriesOf(folder)) {
    if (signal?.aborted) break;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) files.push(...(await listFiles(path, signal)));
    else {
      const found = await stat(path).catch(() => null);
      if (found) files.push({ name: entry.name, path, bytes: found.size, usedAtMs: found.mtimeMs });
    }
  }
  return files;
}

async function entriesOf(folder: string): Promise<Dirent[]> {
  return readdir(folder, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
}
