import { copyFile, link, mkdir, stat } from "node:fs/promises";
import { dirname, resolve, sep } from "node:path";
import { status } from "@grpc/grpc-js";
import type { DataClient } from "../data/dataClient.ts";

/** The files of one call: on this disk where node and stage share it, else fetched by their SHA-256. */
export interface TaskFiles {
  readonly isShared: boolean;
  /** Puts the file that a request names where a step expects it. False where the request names none. */
  place(path: string, to: string): Promise<boolean>;
  /** Files of a folder that a request names. */
  below(folder: string): readonly string[];
}

export interface TaskFilesOptions {
  readonly baseDir: string;
  /** SHA-256 by path; empty with an existing stage, which shares its disk. */
  readonly files: Readonly<Record<string, string>>;
  readonly data: DataClient | null;
  /** Any path of the request, by which to tell whether the folder is shared. */
  readonly anyPath: string;
  readonly signal: AbortSignal;
}

export function createTaskFiles(options: TaskFilesOptions): TaskFiles {
  const { files, data } = options;
  const base = `${resolve(options.baseDir)}${sep}`;
  const isShared = data === null || resolve(options.anyPath).startsWith(base);
  const find = async (path: string): Promise<string> => {
    if (isShared) {
      // A request names files of the base folder and no others.
      if (!resolve(path).startsWith(base)) throw refused(`${path} is not in this node's base_dir`);
      await stat(path).catch(() => {
        throw refused(`${path} is not there: base_dir must be the stage's`);
      });
      return path;
    }
    const hash = files[path];
    if (hash === undefined) throw refused(`the stage gave no SHA-256 for ${path}`);
    return data!.fetch(hash, options.signal);
  };
  return {
    isShared,
    async place(path, to) {
      if (path === "") return false;
      const found = await find(path);
      await mkdir(dirname(to), { recursive: true });
      await link(found, to).catch(() => copyFile(found, to));
      return true;
    },
    below: (folder) => Object.keys(files).filter((path) => path.startsWith(`${folder}/`)),
  };
}

/** Answered with `INVALID_PARAMETER`. */
function refused(message: string): Error {
  return Object.assign(new Error(message), { code: status.INVALID_ARGUMENT });
}
