import { randomBytes } from "node:crypto";
import { readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { startOf } from "./processTable.ts";

/** Starts of the same moment make way for one another; longer than that, one of them has it. */
const CLAIM_LIMIT_MS = 15_000;
/** A pause is a part of this, by chance; it doubles, as on a slow machine a look takes longer than the first ones. */
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;
/** After the owner's file's name and a dot: the process's number, its start, and eight digits of chance. */
const CLAIM = /^(?<pid>\d+)\.(?<startTime>\d*)\.[0-9a-f]{8}$/;

export interface Owner {
  readonly pid: number;
  /** Tells our process from a later one of the same number; "" where the system doesn't say. */
  readonly startTime: string;
}

/**
 * Takes something for this process by a file beside it, so that two processes don't share it. What a killed owner
 * left is taken over.
 *
 * Who claims says so first, by a file of a name of its own, and looks then who else does: of two, one at least sees
 * the other, and makes way. So nobody replaces the owner's file beside another who does.
 *
 * @param inUse makes the error where another process has it
 * @returns gives it back
 */
export async function claimFolder(
  ownerFile: string,
  inUse: (pid: number) => Error,
): Promise<() => Promise<void>> {
  const owner: Owner = { pid: process.pid, startTime: startOf(process.pid) ?? "" };
  const claim = `${ownerFile}.${owner.pid}.${owner.startTime}.${randomBytes(4).toString("hex")}`;
  const until = Date.now() + CLAIM_LIMIT_MS;
  try {
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
      await writeFile(claim, JSON.stringify(owner));
      const other = await otherClaim(ownerFile, claim);
      // Only now: a claim that is gone from the folder has become the owner's file.
      const present = await readClaim(ownerFile);
      if (present !== null) throw inUse(present.pid);
      if (other === null) {
        await rename(claim, ownerFile);
        return () => rm(ownerFile, { force: true });
      }
      if (Date.now() > until) throw inUse(other.pid);
      await rm(claim, { force: true });
      await delay(Math.random() * pauseMs);
    }
  } finally {
    await rm(claim, { force: true });
  }
}

/** Who else claims it now, and lives. What is left of killed ones is removed: no name comes twice. */
async function otherClaim(ownerFile: string, claim: string): Promise<Owner | null> {
  const folder = dirname(ownerFile);
  const start = `${basename(ownerFile)}.`;
  let other: Owner | null = null;
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    const { pid, startTime } = (name.startsWith(start) && CLAIM.exec(name.slice(start.length))?.groups) || {};
    if (pid === undefined || startTime === undefined || path === claim) continue;
    const owner = { pid: Number(pid), startTime };
    if (isOwnerAlive(owner)) other = owner;
    else await rm(path, { force: true });
  }
  return other;
}

/** The process that has claimed something, if it is alive. */
export async function readClaim(ownerFile: string): Promise<Owner | null> {
  const owner = await readOwner(ownerFile);
  return owner !== undefined && isOwnerAlive(owner) ? owner : null;
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
