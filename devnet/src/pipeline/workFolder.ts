import { createHash } from "node:crypto";
import { join } from "node:path";
import { removeTree } from "../removeTree.ts";

/** Where the steps of one stage or node work. */
export function workFolder(baseDir: string, id: string): string {
  const name = createHash("sha256").update(id).digest("hex").slice(0, 16);
  return join(baseDir, "work", name);
}

/** What an earlier process that was killed left there goes. */
export async function emptyWorkFolder(baseDir: string, id: string): Promise<string> {
  const path = workFolder(baseDir, id);
  await removeTree(path);
  return path;
}
