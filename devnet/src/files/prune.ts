import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import { removeTree } from "../removeTree.ts";
import { createRounds } from "../rounds.ts";
import type { Database } from "../store/database.ts";
import { type FileOwner, readFileOwners } from "../store/readFileOwners.ts";
import type { FileLayout } from "./layout.ts";
import { UPLOADS_FOLDER } from "./uploads.ts";

export interface PruneDeps {
  readonly log: Logger;
  readonly database: Database;
  readonly layout: FileLayout;
}

export interface PruneOptions {
  readonly logDirectory: string;
  /** Files of Runs that ended longer ago are removed; undefined for no such limit. */
  readonly keepDays?: number | undefined;
  /** What files of Runs, uploads and consoles may take together; the oldest go first. */
  readonly maxDiskGb?: number | undefined;
  /** Say what would be removed, and remove nothing. */
  readonly dryRun?: boolean;
}

export interface Pruned {
  readonly removed: number;
  readonly freedBytes: number;
  readonly keptBytes: number;
}

const DAY_MS = 86_400_000;
const GIB = 2 ** 30;
/** What no transaction names is on its way: an upload before its Deploy, inputs before their Run. */
const GRACE_MS = DAY_MS;
const BATCH = 500;
const HASH = /^[0-9a-f]{64}$/;

interface Candidate {
  readonly path: string;
  readonly atMs: number;
  readonly bytes: number;
  readonly isRemovable: boolean;
}

/**
 * Removes files of Runs that have ended (inputs, outputs, consoles) and old uploads, by age and by size. Never images,
 * as their programs may be run again, nor what a waiting or running task needs. Transactions stay.
 */
export async function prune(deps: PruneDeps, options: PruneOptions): Promise<Pruned> {
  const { keepDays, maxDiskGb } = options;
  const now = Date.now();
  const candidates = [
    ...(await candidatesIn(deps, deps.layout.txFilesDir, now)),
    ...(await candidatesIn(deps, options.logDirectory, now)),
    ...(await candidatesIn(deps, join(deps.layout.root, UPLOADS_FOLDER), now)),
  ].sort((a, b) => a.atMs - b.atMs);
  let keptBytes = candidates.reduce((sum, { bytes }) => sum + bytes, 0);
  const pruned = { removed: 0, freedBytes: 0 };
  for (const { path, atMs, bytes, isRemovable } of candidates) {
    const isOld = keepDays !== undefined && now - atMs > keepDays * DAY_MS;
    const isTooMuch = maxDiskGb !== undefined && keptBytes > maxDiskGb * GIB;
    if (!isRemovable || !(isOld || isTooMuch)) continue;
    if (!options.dryRun) await removeTree(path);
    keptBytes -= bytes;
    pruned.removed++;
    pruned.freedBytes += bytes;
  }
  if (maxDiskGb !== undefined && keptBytes > maxDiskGb * GIB) {
    deps.log.warn({ keptBytes, maxDiskGb }, "files of open tasks alone take more than --max-disk-gb");
  }
  return { ...pruned, keptBytes };
}

async function candidatesIn({ database }: PruneDeps, folder: string, now: number): Promise<Candidate[]> {
  const names = await readdir(folder).catch(() => []);
  const hashes = names.filter((name) => HASH.test(name));
  const candidates: Candidate[] = [];
  for (let at = 0; at < hashes.length; at += BATCH) {
    const batch = hashes.slice(at, at + BATCH);
    const owners = await readFileOwners(database, batch);
    for (const hash of batch) {
      const path = join(folder, hash);
      const candidate = await measure(path, owners.get(hash), now);
      if (candidate) candidates.push(candidate);
    }
  }
  return candidates;
}

async function measure(path: string, owner: FileOwner | undefined, now: number): Promise<Candidate | null> {
  const info = await lstat(path).catch(() => null);
  if (!info) return null;
  const atMs = owner?.at.getTime() ?? info.mtimeMs;
  const isRemovable = owner ? !owner.isOpen : now - atMs > GRACE_MS;
  return { path, atMs, bytes: await sizeOf(path), isRemovable };
}

async function sizeOf(path: string): Promise<number> {
  const info = await lstat(path).catch(() => null);
  if (!info?.isDirectory()) return info?.size ?? 0;
  let bytes = 0;
  for (const name of await readdir(path).catch(() => [])) bytes += await sizeOf(join(path, name));
  return bytes;
}

const ROUND_MS = 3_600_000;

/** Prunes when the node starts and every hour; does nothing where neither limit is set. */
export function createPruner(deps: PruneDeps, options: PruneOptions): AsyncDisposable {
  if (options.keepDays === undefined && options.maxDiskGb === undefined) {
    return { [Symbol.asyncDispose]: async () => {} };
  }
  const round = (): Promise<void> =>
    prune(deps, options).then(
      ({ removed, freedBytes }) => {
        if (removed > 0) deps.log.info({ removed, freedBytes }, "old files were removed");
      },
      (error: Error) => deps.log.warn({ reason: error.message }, "old files were not removed"),
    );
  return createRounds(round, ROUND_MS);
}
