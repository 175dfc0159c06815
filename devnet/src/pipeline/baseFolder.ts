import { randomUUID } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";

const MARK = ".gevulot-base";

/**
 * What tells a base folder from others: a random id in a file in it. A stage makes it; a node that reads the same one has
 * the same folder on its disk.
 */
export async function ensureBaseId(baseDir: string): Promise<string> {
  await mkdir(baseDir, { recursive: true });
  const path = join(baseDir, MARK);
  await writeFile(path, `${randomUUID()}\n`, { flag: "wx" }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
  });
  return (await readFile(path, "utf8")).trim();
}

/** Empty where the folder is not there, or no stage works in it. */
export async function readBaseId(baseDir: string): Promise<string> {
  return readFile(join(baseDir, MARK), "utf8").then(
    (text) => text.trim(),
    () => "",
  );
}
