import { randomUUID } from "node:crypto";
import { mkdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Logger } from "pino";
import { removeTree } from "../../removeTree.ts";
import { createRounds } from "../../rounds.ts";
import type { Database } from "../../store/database.ts";
import { isFileName } from "../admit/fileName.ts";
import { INCOMING } from "../data/blobStore.ts";
import { listBlobs, removeUnfinished } from "../data/oldBlobs.ts";
import { elfPath, runRoot } from "../runFolder.ts";
import { isProgramUsed, lockOldRun, removeRun, unusedBlobs } from "../store/oldRuns.ts";

export interface RetentionDeps {
  readonly log: Logger;
  readonly database: Database;
  /** The base folder, or the folder that mirrors the bucket. */
  readonly baseDir: string;
}

export interface RetentionOptions {
  /** How long a run is kept after its end, and data that none names after somebody asked for it. */
  readonly keepRunsDays: number;
}

const EVERY_MS = 3_600_000;
/** At least: data is there before the run that names it. */
const KEEP_DATA_DAYS = 1;
const DAY_MS = 86_400_000;
const BLOBS_AT_ONCE = 50_000;

/** Removes once an hour what is kept no longer: runs, and data that none of the kept ones names. */
export function createRetention(deps: RetentionDeps, options: RetentionOptions): AsyncDisposable {
  const stopped = new AbortController();
  const round = (): Promise<void> =>
    removeOldData(deps, options, stopped.signal).catch((error: Error) =>
      deps.log.warn({ reason: error.message }, "old data could not be removed; trying again in an hour"),
    );
  const rounds = createRounds(round, EVERY_MS);
  return {
    [Symbol.asyncDispose]() {
      stopped.abort();
      return rounds[Symbol.asyncDispose]();
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
  const unusedSinceMs = Date.now() - Math.max(keepRunsDays, KEEP_DATA_DAYS) * DAY_MS;
  let runs = 0;
  while (!signal.aborted && (await removeOldRun(deps, keepRunsDays, unusedSinceMs))) runs += 1;
  const old = await listBlobs(root, unusedSinceMs, signal);
  let blobs = 0;
  for (let at = 0; at < old.length && !signal.aborted; at += BLOBS_AT_ONCE) {
    const some = old.slice(at, at + BLOBS_AT_ONCE);
    const unused = await unusedBlobs(
      deps.database,
      some.map(({ name }) => name),
    );
    for (const { name, path } of some)
      if (unused.has(name) && (await removeUnused(path, unusedSinceMs))) blobs += 1;
  }
  await removeUnfinished(root);
  await removeUnfinished(deps.baseDir);
  if (runs + blobs > 0) deps.log.info({ runs, blobs }, "runs and data that are kept no longer were removed");
}

/**
 * The folder is set aside before the row goes: what a crash leaves is found by its row, or there. It is removed once no
 * transaction waits: that may take longer than one may be silent.
 */
async function removeOldRun(
  { database, baseDir }: RetentionDeps,
  days: number,
  unusedSinceMs: number,
): Promise<boolean> {
  const aside = join(baseDir, INCOMING, randomUUID());
  const isRemoved = await database.transaction(async (client) => {
    const run = await lockOldRun(client, days);
    if (!run) return false;
    if (isFileName(run.id)) await setAside(runRoot(baseDir, run.id), aside);
    await removeRun(client, run.id);
    // A run that begins with the wrap has none.
    const isElfUsed = run.programId === "" || (await isProgramUsed(client, run.programId));
    if (!isElfUsed) await removeUnused(elfPath(baseDir, run.programId), unusedSinceMs);
    return true;
  });
  await removeTree(aside);
  return isRemoved;
}

async function setAside(folder: string, aside: string): Promise<void> {
  await mkdir(dirname(aside), { recursive: true });
  // It may be gone, or a mount of its own.
  await rename(folder, aside).catch(() => removeTree(folder));
}

/** Unless somebody asked for it meanwhile. */
async function removeUnused(path: string, sinceMs: number): Promise<boolean> {
  const found = await stat(path).catch(() => null);
  if (!found || found.mtimeMs >= sinceMs) return false;
  await rm(path, { force: true });
  return true;
}
