import { readdir, readFile } from "node:fs/promises";
import { join, posix } from "node:path";
import { readDependencies } from "../kernelModules.ts";
import { resolveInRoot } from "../rootedPath.ts";

/** For CUDA, no display. */
export const GPU_MODULES: readonly string[] = ["nvidia", "nvidia_uvm"];
const FOLDERS = ["/lib/modules", "/usr/lib/modules"];
const MAX_DEPTH = 8;

/** What a module asks for by its `depends=`, and is not there. */
export interface MissingModule {
  readonly name: string;
  readonly neededBy: string;
}

/**
 * The NVIDIA kernel modules in a root file system that are for its kernel, and before them what they depend on, for the guest's
 * init to load.
 */
export async function findGpuModules(root: string, kernelVersion: string): Promise<string[]> {
  const found = new Map<string, string>();
  const walk = async (folder: string, depth: number): Promise<void> => {
    if (depth > MAX_DEPTH) return;
    for (const entry of await readdir(join(root, folder), { withFileTypes: true }).catch(() => [])) {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory()) await walk(path, depth + 1);
      else if (entry.isFile()) found.set(path, path);
    }
  };
  for (const folder of FOLDERS) {
    const there = await resolveInRoot(root, `${folder}/${kernelVersion}`);
    if (there !== null) await walk(there.path, 0);
  }
  const { paths } = await orderModules(GPU_MODULES, found, (path) => readFile(join(root, path)));
  return paths;
}

/** What lies where a kernel of that version looks for its modules. */
export function modulesOf<File>(kernelVersion: string, files: ReadonlyMap<string, File>): Map<string, File> {
  const folders = FOLDERS.map((folder) => `${folder}/${kernelVersion}/`);
  return new Map([...files].filter(([path]) => folders.some((folder) => path.startsWith(folder))));
}

/** As `depends=` writes it: underscores, and no ending. */
export function moduleName(path: string): string {
  return posix
    .basename(path)
    .replace(/\.ko(\.\w+)?$/, "")
    .replaceAll("-", "_");
}

/**
 * The order in which modules load: what one depends on comes first. What is built into the kernel for which a module was
 * made is not among its `depends=`.
 *
 * @param files of the image, by path
 */
export async function orderModules<File>(
  names: readonly string[],
  files: ReadonlyMap<string, File>,
  read: (file: File) => Promise<Buffer>,
): Promise<{ readonly paths: string[]; readonly missing: MissingModule[] }> {
  const byName = new Map(
    [...files].flatMap(([path, file]) =>
      path.endsWith(".ko") ? [[moduleName(path), { path, file }] as const] : [],
    ),
  );
  const paths: string[] = [];
  const missing: MissingModule[] = [];
  const seen = new Set<string>();
  const load = async (name: string, neededBy?: string): Promise<void> => {
    if (seen.has(name)) return;
    seen.add(name);
    const module = byName.get(name);
    if (module === undefined) {
      if (neededBy !== undefined) missing.push({ name, neededBy });
      return;
    }
    for (const dependency of readDependencies(await read(module.file))) {
      await load(dependency, posix.basename(module.path));
    }
    paths.push(module.path);
  };
  for (const name of names) await load(name);
  return { paths, missing };
}
