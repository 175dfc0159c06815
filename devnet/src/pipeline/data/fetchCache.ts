import { join } from "node:path";
import type { Logger } from "pino";
import { createRounds } from "../../rounds.ts";
import { type BlobStore, createBlobStore } from "./blobStore.ts";
import { removeUnfinished, trimFolders } from "./oldBlobs.ts";

/** What a node fetched, for the next task that needs it; answers that it keeps count too. */
export interface FetchCache extends AsyncDisposable {
  readonly blobs: BlobStore;
}

export interface FetchCacheOptions {
  /** The base folder, or the folder that mirrors the bucket. */
  readonly baseDir: string;
  /** All that lies there can be fetched from a bucket again. */
  readonly isMirror: boolean;
  readonly maxGib: number;
}

const LOOK_EVERY_MS = 60_000;
const GIB = 2 ** 30;

/** Kept below its size, but for what is in use: looked at now and then. */
export function createFetchCache(deps: { readonly log: Logger }, options: FetchCacheOptions): FetchCache {
  const { baseDir, isMirror, maxGib } = options;
  const root = join(baseDir, "fetched");
  const mirrored = isMirror ? [join(baseDir, "proof"), join(baseDir, "elf")] : [];
  const round = (): Promise<void> =>
    trimFolders([root, join(baseDir, "results"), ...mirrored], maxGib * GIB)
      .then(() => Promise.all([removeUnfinished(root), removeUnfinished(baseDir)]))
      .then(
        () => {},
        (error: Error) => deps.log.warn({ reason: error.message }, "the cache can't be trimmed"),
      );
  const rounds = createRounds(round, LOOK_EVERY_MS);
  return { blobs: createBlobStore(root), [Symbol.asyncDispose]: () => rounds[Symbol.asyncDispose]() };
}
