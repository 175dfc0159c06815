import { createHash, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { copyFile, link, mkdir, open, readFile, rename, rm, stat, utimes } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { GevulotError } from "gevulot-sdk";
import type { SharedBase } from "./sharedBase.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    BLOB_CORRUPT: { expected: string; actual: string };
    BLOB_MISSING: { sha256: string };
  }
}

export interface Blob {
  /** SHA-256, hex. */
  readonly hash: string;
  readonly bytes: number;
}

/** Content by its SHA-256 in `<root>/<first two digits>/<hash>`. What is there is whole: it was renamed into place. */
export interface BlobStore {
  readonly root: string;
  /** Stores what the source gives, and returns once it is on the disk. `expected` refuses other content. */
  put(source: Uint8Array | AsyncIterable<Uint8Array>, expected?: string): Promise<Blob>;
  /** The same of a file. */
  putFile(path: string): Promise<Blob>;
  /** The blob's bytes in pieces, from `offset` on. Throws `BLOB_MISSING`. */
  read(hash: string, offset?: number): AsyncIterable<Uint8Array>;
  readAll(hash: string): Promise<Uint8Array>;
  /** Null where it is not there. A blob that is asked for counts as used now: see oldBlobs.ts. */
  size(hash: string): Promise<number | null>;
  path(hash: string): string;
  /** Gives the blob a second name, `path`; replaces what is there. */
  place(hash: string, path: string): Promise<void>;
}

const HASH = /^[0-9a-f]{64}$/;
/** The folder in a store for what is not whole yet. */
export const INCOMING = "incoming";
/** A use is noted so often at most. */
const NOTE_USE_MS = 60_000;

/** @param base where others look for the blobs too; default: only here */
export function createBlobStore(root: string, base?: SharedBase): BlobStore {
  const path = (hash: string): string => {
    if (!HASH.test(hash)) throw missing(hash);
    return join(root, hash.slice(0, 2), hash);
  };
  // Another stage may have taken it.
  const size = async (hash: string): Promise<number | null> => {
    const here = await use(path(hash));
    return here === null && base && (await base.fetch(path(hash))) ? use(path(hash)) : here;
  };
  /** @param write writes the file that it is given, which is renamed once it is whole */
  const take = async (write: (to: string) => Promise<Blob>): Promise<Blob> => {
    const temporary = join(root, INCOMING, randomUUID());
    try {
      const blob = await write(temporary);
      await inFolder(path(blob.hash), () => rename(temporary, path(blob.hash)));
      await syncFolder(dirname(path(blob.hash)));
      await base?.publish(path(blob.hash));
      return blob;
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  };
  const read = (hash: string, offset = 0): Readable => createReadStream(path(hash), { start: offset });

  return {
    root,
    path,
    size,
    put: (source, expected) =>
      take(async (to) => {
        const blob = await write(to, source instanceof Uint8Array ? Readable.from([source]) : source);
        if (expected !== undefined && blob.hash !== expected) throw corrupt(expected, blob.hash);
        return blob;
      }),
    putFile: (from) => take((to) => write(to, piecesOf(from))),
    async *read(hash, offset) {
      if ((await size(hash)) === null) throw missing(hash);
      yield* read(hash, offset) as AsyncIterable<Uint8Array>;
    },
    async readAll(hash) {
      if ((await size(hash)) === null) throw missing(hash);
      return readFile(path(hash));
    },
    async place(hash, to) {
      if ((await size(hash)) === null) throw missing(hash);
      // A link costs nothing; another disk, or one without links, takes a copy.
      const linked = inFolder(to, () => link(path(hash), to));
      await linked.catch(() => replace(path(hash), to));
      await base?.publish(to);
    },
  };
}

/** Folders are there, but for the first time: to look each time would cost more than the file. */
async function inFolder<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    await mkdir(dirname(path), { recursive: true });
    await syncFolder(dirname(dirname(path)));
    return work();
  }
}

/** A file's name is on the disk once its folder is. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function replace(from: string, to: string): Promise<void> {
  const temporary = `${to}.${randomUUID()}.tmp`;
  await link(from, temporary).catch(() => copyFile(from, temporary));
  await rename(temporary, to);
  // Two names of one file: the rename does nothing then.
  await rm(temporary, { force: true });
}

async function use(path: string): Promise<number | null> {
  const found = await stat(path).catch(() => null);
  if (!found) return null;
  const now = new Date();
  if (found.mtimeMs < now.getTime() - NOTE_USE_MS) await utimes(path, now, now).catch(() => {});
  return found.size;
}

/** Opens it once somebody reads: before that nobody would hear that it can't be opened. */
async function* piecesOf(path: string): AsyncGenerator<Uint8Array> {
  yield* createReadStream(path) as AsyncIterable<Uint8Array>;
}

async function write(path: string, source: AsyncIterable<Uint8Array>): Promise<Blob> {
  const file = await inFolder(path, () => open(path, "wx"));
  try {
    const hash = createHash("sha256");
    let bytes = 0;
    for await (const piece of source) {
      hash.update(piece);
      bytes += piece.length;
      await file.write(piece);
    }
    await file.sync();
    return { hash: hash.digest("hex"), bytes };
  } finally {
    await file.close();
  }
}

function corrupt(expected: string, actual: string): GevulotError {
  return new GevulotError(
    "BLOB_CORRUPT",
    `Data arrived with SHA-256 ${actual} instead of ${expected}. It was dropped; send it again.`,
    { context: { expected, actual } },
  );
}

function missing(sha256: string): GevulotError {
  return new GevulotError(
    "BLOB_MISSING",
    `There is no data with SHA-256 ${sha256} here. Submit the run again: what old runs left is removed (keep_runs_days of the stage).`,
    { context: { sha256 } },
  );
}
