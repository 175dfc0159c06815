import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";

const MAKING = ".making-";

/**
 * Makes a folder that appears whole or not at all: `make` fills another one beside it. Two at once don't disturb each other;
 * where another process was faster, what it made is as good.
 *
 * @param abandonedMs longer than any making lasts: what is older was left by a process that was killed
 */
export async function makeWhole(
  dir: string,
  abandonedMs: number,
  make: (work: string) => Promise<void>,
): Promise<void> {
  const parent = dirname(dir);
  mkdirSync(parent, { recursive: true });
  removeAbandoned(parent, abandonedMs);
  const work = mkdtempSync(join(parent, MAKING));
  try {
    await make(work);
    moveInto(work, dir);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function removeAbandoned(parent: string, abandonedMs: number): void {
  for (const name of readdirSync(parent).filter((each) => each.startsWith(MAKING))) {
    const path = join(parent, name);
    const made = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
    if (Date.now() - made > abandonedMs) rmSync(path, { recursive: true, force: true });
  }
}

function moveInto(work: string, dir: string): void {
  try {
    renameSync(work, dir);
  } catch (error) {
    if (!existsSync(dir)) throw error;
  }
}
