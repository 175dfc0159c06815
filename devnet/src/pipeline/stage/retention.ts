import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import { removeTree } from "../../removeTree.ts";
import type { Database } from "../../store/database.ts";
import { isFileName } from "../admit/fileName.ts";
import { listBlobs, removeUnfinished } from "../data/oldBlobs.ts";
import { elfPath, runFolder } from "../runFolder.ts";
import { lockOldRuns, removeRuns, unusedBlobs, unusedPrograms } from "../store/oldRuns.ts";

export interface RetentionDeps {
  readonly log: Logger;
  readonly database: Database;
  /** The base folder, or the folder that mirrors the bucket. */
  readonly baseDir: string;
}

/** How long a run is kept after its end. */
export interface RetentionOptions {
  readonly keepRunsDays: number;
}

const EVERY_MS = 3_600_000;
/** Data is there before the run that names it. */
const UNUSED_MS = 86_400_000;
const BLOBS_AT_ONCE = 50_000;

/** Removes once an hour what is kept no longer: runs, and data that none of the kept ones names. */
export function createRetention(deps: RetentionDeps, options: RetentionOptions): AsyncDisposable {
  const stopped = new AbortController();
  const round = (): Promise<void> =>
    removeOldData(deps, options, stopped.signal).catch((error: Error) =>
      deps.log.warn({ reason: error.message }, "old data could not be removed; trying again in an hour"),
    );
  let working = round();
  const timer = setInterval(() => {
    working = working.then(round);
  }, EVERY_MS);
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      stopped.abort();
      await working;
    },
  };
}

/** One round of it. */
export async function removeOldData(
  deps: RetentionDeps,
  { keepRunsDays }: RetentionOptions,
  signal: AbortSignal,
): Promise<void> {
  const root = join(deps.baseDir, "blob");
  let runs = 0;
  for (let removed = 1; removed > 0 && !signal.aborted; runs += removed) {
    removed = await removeSomeRuns(deps, keepRunsDays);
  }
  const old = await listBlobs(root, Date.now() - UNUSED_MS);
  let blobs = 0;
  for (let at = 0; at < old.length && !signal.aborted; at += BLOBS_AT_ONCE) {
    const some = old.slice(at, at + BLOBS_AT_ONCE);
    const unused = await unusedBlobs(
      deps.database,
      some.map(({ hash }) => hash),
    );
    for (const { hash, path } of some) if (unused.has(hash) && (await removeUnused(path))) blobs += 1;
  }
  await removeUnfinished(root);
  if (runs + blobs > 0) deps.log.info({ runs, blobs }, "runs and data that are kept no longer were removed");
}

/** The folders go before the rows: what a crash leaves is found by its row again. */
async function removeSomeRuns({ database, baseDir }: RetentionDeps, days: number): Promise<number> {
  return database.transaction(async (client) => {
    const runs = await lockOldRuns(client, days);
    for (const { id } of runs) if (isFileName(id)) await removeTree(runFolder(baseDir, id, undefined).root);
    await removeRuns(
      client,
      runs.map(({ id }) => id),
    );
    const programs = new Set(runs.map(({ programId }) => programId));
    for (const id of await unusedPrograms(client, [...programs])) await removeUnused(elfPath(baseDir, id));
    return runs.length;
  });
}

/** Unless somebody asked for it meanwhile. */
async function removeUnused(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => null);
  if (!found || found.mtimeMs > Date.now() - UNUSED_MS) return false;
  await rm(path, { force: true });
  return true;
}
