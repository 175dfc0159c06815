import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { join, resolve, sep } from "node:path";

/**
 * The base folder of the existing service, which stages and nodes may share: a folder of this machine (a disk, NFS), or a
 * bucket that a folder of this machine mirrors. Paths are those of this machine; requests carry `wirePath`s.
 */
export interface SharedBase {
  /** Of this machine. */
  readonly dir: string;
  /** How others know the file. */
  wirePath(path: string): string;
  /** Where a file of a request is here, whether fetched yet or not. Null where it is not in this base. */
  localPath(wirePath: string): string | null;
  /** Lets others see a file that was written here. */
  publish(path: string): Promise<void>;
  /** Brings a file as it is now. False where it isn't there. */
  fetch(path: string): Promise<boolean>;
  /** Takes a file away for all, where it is there. */
  remove(path: string): Promise<void>;
  /** Names of the files in a folder. */
  list(folder: string): Promise<readonly string[]>;
  /** Between two looks for what others write. */
  readonly lookEveryMs: number;
}

const LOOK_EVERY_MS = 200;

/** One that all see as a folder. */
export async function createDiskBase(baseDir: string): Promise<SharedBase> {
  const dir = resolve(baseDir);
  await mkdir(dir, { recursive: true });
  const inside = dir + sep;
  return {
    dir,
    lookEveryMs: LOOK_EVERY_MS,
    wirePath: (path) => path,
    localPath: (path) => (resolve(path).startsWith(inside) ? path : null),
    publish: async () => {},
    fetch: (path) =>
      stat(path).then(
        (found) => found.isFile(),
        () => false,
      ),
    remove: (path) => rm(path, { force: true }),
    list: async (folder) =>
      (await readdir(folder, { withFileTypes: true }).catch(() => []))
        .filter((entry) => entry.isFile())
        .map(({ name }) => name),
  };
}

/** The file of a folder that a relative path names; null for one that leads out of it. */
export function pathInside(folder: string, relative: string): string | null {
  const path = join(folder, relative);
  return path.startsWith(resolve(folder) + sep) ? path : null;
}
