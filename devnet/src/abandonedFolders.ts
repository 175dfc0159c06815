import { readlinkSync } from "node:fs";
import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { startOf } from "./processTable.ts";
import { removeTree } from "./removeTree.ts";

const OWNER = /^(\d+)-(\d*)-(\d*)-[0-9A-Za-z]+$/;

/** This process, in the names of folders that another one removes once it is gone. */
export function ownerMark(): string {
  return `${process.pid}-${startOf(process.pid) ?? ""}-${pidNamespace()}`;
}

/**
 * Removes the folders named by a prefix, an `ownerMark` and something of chance whose process is gone. Never fails. Only
 * this user's: as root, one could be led elsewhere by who may change what is in them. Only of this PID namespace:
 * containers that share a folder know nothing of each other's processes.
 */
export async function removeAbandonedFolders(parent: string, prefix: string): Promise<void> {
  const here = pidNamespace();
  for (const name of await readdir(parent).catch(() => [])) {
    const [, pid, start, namespace] =
      (name.startsWith(prefix) && OWNER.exec(name.slice(prefix.length))) || [];
    if (pid === undefined || namespace !== here || startOf(Number(pid)) === start) continue;
    const path = join(parent, name);
    const found = await lstat(path).catch(() => null);
    if (found?.isDirectory() && found.uid === process.getuid?.()) await removeTree(path).catch(() => {});
  }
}

/** Its number; "" where the system has none. */
function pidNamespace(): string {
  try {
    return /\d+/.exec(readlinkSync("/proc/self/ns/pid"))?.[0] ?? "";
  } catch {
    return "";
  }
}
