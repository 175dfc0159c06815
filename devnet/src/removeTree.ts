import { execFile } from "node:child_process";
import { rm } from "node:fs/promises";
import { promisify } from "node:util";

const TIMEOUT_MS = 120_000;

/**
 * Removes a folder and all in it, also one that a program has nested deeper than a path may be long: `rm` goes down
 * folder by folder. A folder that isn't there is fine.
 */
export async function removeTree(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENAMETOOLONG") throw error;
    await promisify(execFile)("rm", ["-rf", "--", path], { timeout: TIMEOUT_MS });
  }
}
