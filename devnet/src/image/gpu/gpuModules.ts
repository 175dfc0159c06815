import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { resolveInRoot } from "../rootedPath.ts";

/** In the order in which they load. */
const NAMES = ["nvidia.ko", "nvidia-uvm.ko"];
const FOLDERS = ["/lib/modules", "/usr/lib/modules"];
const MAX_DEPTH = 8;

/** The NVIDIA kernel modules in a root file system, for the guest's init to load: for CUDA, no display. */
export async function findGpuModules(root: string): Promise<string[]> {
  const found = new Map<string, string>();
  const walk = async (folder: string, depth: number): Promise<void> => {
    if (depth > MAX_DEPTH) return;
    for (const entry of await readdir(join(root, folder), { withFileTypes: true }).catch(() => [])) {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory()) await walk(path, depth + 1);
      else if (entry.isFile() && NAMES.includes(entry.name)) found.set(entry.name, path);
    }
  };
  for (const folder of FOLDERS) {
    const there = await resolveInRoot(root, folder);
    if (there !== null) await walk(there.path, 0);
  }
  return NAMES.flatMap((name) => found.get(name) ?? []);
}
