import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * Makes a folder, with those above it. Not by mkdir's `recursive`, which never ends where the system says of a folder that
 * is there that it is not, as below /proc.
 */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return;
    if (code !== "ENOENT" || dirname(path) === path) throw error;
    await makeFolder(dirname(path));
    await mkdir(path).catch((again: NodeJS.ErrnoException) => {
      if (again.code !== "EEXIST") throw again;
    });
  }
}
