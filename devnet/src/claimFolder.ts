import { randomBytes } from "node:crypto";
import { link, readFile, rename, rm, writeFile } from "node:fs/promises";
import { startOf } from "./processTable.ts";

/** A claim can only be lost to another start as often as others start in the same moment. */
const CLAIM_TRIES = 5;

export interface Owner {
  readonly pid: number;
  /** Tells our process from a later one of the same number; "" where the system doesn't say. */
  readonly startTime: string;
}

/**
 * Takes something for this process by a file beside it, so that two processes don't share it. What a killed owner
 * left is taken over.
 *
 * @param inUse makes the error where another process has it
 * @returns gives it back
 */
export async function claimFolder(
  ownerFile: string,
  inUse: (pid: number) => Error,
): Promise<() => Promise<void>> {
  const owner: Owner = { pid: process.pid, startTime: startOf(process.pid) ?? "" };
  const claim = `${ownerFile}.${process.pid}.${randomBytes(4).toString("hex")}`;
  await writeFile(claim, JSON.stringify(owner));
  try {
    for (let attempt = 0; attempt < CLAIM_TRIES; attempt++) {
      // A link appears with its content, and only if there is none yet.
      if (await tryLink(claim, ownerFile)) return () => rm(ownerFile, { force: true });
      const present = await readOwner(ownerFile);
      if (present !== undefined && isOwnerAlive(present)) throw inUse(present.pid);
      await removeStale(ownerFile, present, claim);
    }
    throw inUse(process.pid);
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
