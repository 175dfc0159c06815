import { randomUUID } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { SharedBase } from "./data/sharedBase.ts";

const MARK = ".gevulot-base";

/**
 * What tells a base folder from others: a random id in a file in it. A stage makes it; a node that reads the same one has
 * the same folder.
 */
export async function ensureBaseId(base: SharedBase): Promise<string> {
  const path = join(base.dir, MARK);
  if (!(await base.fetch(path))) {
    await writeFile(path, `${randomUUID()}\n`, { flag: "wx" }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
    await base.publish(path);
    // Of stages that start at once the last has published it.
    await base.fetch(path);
  }
  return (await readFile(path, "utf8")).trim();
}

/** Empty where the folder is not there, or no stage works in it. */
export async function readBaseId(base: SharedBase): Promise<string> {
  const path = join(base.dir, MARK);
  return (await base.fetch(path)) ? (await readFile(path, "utf8")).trim() : "";
}
