import { randomBytes } from "node:crypto";
import { link, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { GevulotError } from "gevulot-sdk";
import { commandOf, isAlive, startOf } from "../processTable.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    POSTGRES_IN_USE: { readonly dataDir: string; readonly pid: number };
  }
}

const ORPHAN_STOP_MS = 15_000;
const POLL_MS = 20;
/** A claim can only be lost to another start as often as others start in the same moment. */
const CLAIM_TRIES = 5;

interface Owner {
  readonly pid: number;
  /** Tells our process from a later one of the same number; "" where the system doesn't say. */
  readonly startTime: string;
}

/**
 * Takes the database folder for this process, so that two starts don't share one. What a killed owner left is
 * taken over.
 *
 * @returns gives the folder back
 * @throws GevulotError `POSTGRES_IN_USE`
 */
export async function claimDataDir(dataDir: string, ownerFile: string): Promise<() => Promise<void>> {
  const owner: Owner = { pid: process.pid, startTime: startOf(process.pid) ?? "" };
  const claim = `${ownerFile}.${process.pid}.${randomBytes(4).toString("hex")}`;
  await writeFile(claim, JSON.stringify(owner));
  try {
    for (let attempt = 0; attempt < CLAIM_TRIES; attempt++) {
      // A link appears with its content, and only if there is none yet.
      if (await tryLink(claim, ownerFile)) return () => rm(ownerFile, { force: true });
      const present = await readOwner(ownerFile);
      if (present !== undefined && isOwnerAlive(present)) throw inUse(dataDir, present.pid);
      await removeStale(ownerFile, present, claim);
    }
    throw inUse(dataDir, process.pid);
  } finally {
    await rm(claim, { force: true });
  }
}

async function tryLink(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** Takes the file away and looks at it again: another start may have put its own in the stale one's place. */
async function removeStale(ownerFile: string, stale: Owner | undefined, claim: string): Promise<void> {
  const aside = `${claim}.stale`;
  try {
    await rename(ownerFile, aside);
  } catch {
    return; // someone else did
  }
  const taken = await readOwner(aside);
  if (taken?.pid !== stale?.pid || taken?.startTime !== stale?.startTime) await tryLink(aside, ownerFile);
  await rm(aside, { force: true });
}

async function readOwner(ownerFile: string): Promise<Owner | undefined> {
  try {
    return JSON.parse(await readFile(ownerFile, "utf8")) as Owner;
  } catch {
    return undefined;
  }
}

function isOwnerAlive(owner: Owner): boolean {
  return startOf(owner.pid) === owner.startTime;
}

function inUse(dataDir: string, pid: number): GevulotError {
  return new GevulotError(
    "POSTGRES_IN_USE",
    `The database folder ${dataDir} is in use by process ${pid}. Stop that one, or choose another folder.`,
    { context: { dataDir, pid } },
  );
}

/**
 * Stops a PostgreSQL of this folder that outlived its owner, and removes its pid file. That file alone proves
 * nothing: after a restart of the machine the number may be another process's, and PostgreSQL would then refuse.
 */
export async function stopOrphan(clusterDir: string, signal?: AbortSignal): Promise<void> {
  const pidFile = join(clusterDir, "postmaster.pid");
  const pid = Number.parseInt(await readFile(pidFile, "utf8").catch(() => ""), 10);
  if (!(pid > 1)) return;
  const isOurs = async () => isAlive(pid) && (await commandOf(pid)).includes(clusterDir);
  if (await isOurs()) {
    process.kill(pid, "SIGINT");
    const deadline = Date.now() + ORPHAN_STOP_MS;
    while (await isOurs()) {
      if (Date.now() > deadline) process.kill(pid, "SIGKILL");
      await delay(POLL_MS, undefined, signal && { signal });
    }
  }
  await rm(pidFile, { force: true });
}
