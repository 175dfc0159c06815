import { lstat, opendir } from "node:fs/promises";

export interface TreeSize {
  /** Files, folders, links and what else has a name. */
  readonly entries: number;
  /** Of the disk, so that a sparse file counts what it takes. */
  readonly bytes: number;
}

/** Where a measurement stops. */
export interface TreeLimits {
  readonly maxEntries: number;
  readonly maxBytes: number;
}

/** `excess` says in words what is too much, or null. */
export interface MeasuredTree extends TreeSize {
  readonly excess: string | null;
}

export const NO_LIMITS: TreeLimits = {
  maxEntries: Number.MAX_SAFE_INTEGER,
  maxBytes: Number.MAX_SAFE_INTEGER,
};

const BLOCK_BYTES = 512;
const SEPARATOR = Buffer.from("/");
/** A path of more bytes can't be named; the system's limit is 4,096 with the NUL. */
const MAX_PATH_BYTES = 4_000;

/**
 * Adds up a tree that a stranger is writing to. Names are bytes, no link is followed, what vanishes meanwhile doesn't
 * count, and it stops as soon as a limit is passed: its memory doesn't grow with the files, only with the folders.
 */
export async function measureTree(
  root: string,
  limits: TreeLimits,
  signal?: AbortSignal,
): Promise<MeasuredTree> {
  const folders: Buffer[] = [Buffer.from(root)];
  let entries = 0;
  let bytes = 0;
  const done = (excess: string | null): MeasuredTree => ({ entries, bytes, excess });
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    signal?.throwIfAborted();
    // The types know `opendir` with names as text only.
    const listing = await opendir(folder as unknown as string, {
      encoding: "buffer" as BufferEncoding,
    }).catch(() => null);
    if (listing === null) continue;
    for await (const entry of listing) {
      signal?.throwIfAborted();
      entries++;
      if (entries > limits.maxEntries) return done(`more than ${limits.maxEntries} files and folders`);
      const path = Buffer.concat([folder, SEPARATOR, entry.name as unknown as Buffer]);
      if (path.length > MAX_PATH_BYTES) return done("folders nested deeper than a path can name");
      const info = await lstat(path).catch(() => null);
      if (info === null) continue;
      bytes += info.blocks * BLOCK_BYTES;
      if (bytes > limits.maxBytes) return done(`more than ${limits.maxBytes} bytes`);
      if (info.isDirectory()) folders.push(path);
    }
  }
  return done(null);
}
