import { randomBytes } from "node:crypto";
import { access, mkdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";

/**
 * A folder that is made once and then only read: `make` fills a temporary one, which then takes its name in one
 * step. When two make it at once, one of them wins and the other's is thrown away: they hold the same.
 */
export async function cachedFolder(path: string, make: (folder: string) => Promise<void>): Promise<string> {
  if (await exists(path)) return path;
  await mkdir(dirname(path), { recursive: true });
  const temporary = join(dirname(path), `.tmp-${process.pid}-${randomBytes(6).toString("hex")}`);
  try {
    await mkdir(temporary);
    await make(temporary);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    const { code } = error as NodeJS.ErrnoException;
    if ((code === "ENOTEMPTY" || code === "EEXIST") && (await exists(path))) return path;
    throw error;
  }
  return path;
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
