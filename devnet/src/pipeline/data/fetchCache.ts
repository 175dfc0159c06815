import type { Logger } from "pino";
import { type BlobStore, createBlobStore } from "./blobStore.ts";
import { removeUnfinished, trimBlobs } from "./oldBlobs.ts";

/** What a node fetched, for the next task that needs it. */
export interface FetchCache extends AsyncDisposable {
  readonly blobs: BlobStore;
}

const LOOK_EVERY_MS = 60_000;
const GIB = 2 ** 30;

/** Kept below its size, but for what is in use: looked at now and then. */
export function createFetchCache(
  deps: { readonly log: Logger; readonly root: string },
  { cache_gib: gib }: { readonly cache_gib: number },
): FetchCache {
  const { log, root } = deps;
  const round = (): Promise<void> =>
    trimBlobs(root, gib * GIB)
      .then(() => removeUnfinished(root))
      .catch((error: Error) => log.warn({ reason: error.message }, "the cache can't be trimmed"));
  let working = round();
  const timer = setInterval(() => {
    working = working.then(round);
  }, LOOK_EVERY_MS);
  return {
    blobs: createBlobStore(root),
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await working;
    },
  };
}
