import { randomUUID } from "node:crypto";
import { constants, copyFile, mkdir, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { status } from "@grpc/grpc-js";
import { createBlobStore } from "../data/blobStore.ts";
import type { DataClient } from "../data/dataClient.ts";
import type { SharedBase } from "../data/sharedBase.ts";

/** The files of one call: in the base folder where node and stage share it, else fetched by their SHA-256. */
export interface TaskFiles {
  readonly isShared: boolean;
  /** Puts the file that a request names where a step expects it. False where the request names none. */
  place(path: string, to: string): Promise<boolean>;
  /** Puts the stage's content with this SHA-256 there. */
  placeContent(sha256: string, to: string): Promise<void>;
  /** Files of a folder that a request names. */
  below(folder: string): Promise<readonly string[]>;
  /** Leaves a file where a request says; only where the base folder is shared. */
  leave(path: string, content: { readonly file: string } | Uint8Array): Promise<void>;
  /** Takes away what an earlier start left; only where the base folder is shared. */
  remove(path: string): Promise<void>;
}

export interface TaskFilesOptions {
  readonly base: SharedBase;
  /** SHA-256 by path; empty with an existing stage, which shares its base folder. */
  readonly files: Readonly<Record<string, string>>;
  /** Null where the stage gives no address for it: it shares its base folder, as existing ones do. */
  readonly data: DataClient | null;
  readonly signal: AbortSignal;
}

/** Another machine's file may take so long to be seen on NFS: the existing service looks as often. */
const LOOKS = 10;
const LOOK_EVERY_MS = 300;

export function createTaskFiles(options: TaskFilesOptions): TaskFiles {
  const { base, files, data } = options;
  const isShared = data === null;
  // A request names files of the base folder and no others.
  const localPath = (path: string): string => {
    const local = base.localPath(path);
    if (local === null) throw refused(`${path} is not in this node's base_dir`);
    return local;
  };
  const find = async (path: string): Promise<string> => {
    if (isShared) {
      const local = localPath(path);
      for (let looks = 1; !(await base.fetch(local)); looks += 1) {
        if (looks === LOOKS) throw refused(`${path} is not there: base_dir must be the stage's`);
        await delay(LOOK_EVERY_MS, undefined, { signal: options.signal });
      }
      return local;
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
      await copy(found, to);
      return true;
    },
    async placeContent(sha256, to) {
      if (data) return copy(await data.fetch(sha256, options.signal), to);
      const blobs = createBlobStore(join(base.dir, "blob"), base);
      if ((await blobs.size(sha256)) === null) throw refused(`the stage has no data with SHA-256 ${sha256}`);
      return copy(blobs.path(sha256), to);
    },
    async below(folder) {
      const names = isShared ? await base.list(localPath(folder)) : null;
      return (
        names?.map((name) => `${folder}/${name}`) ??
        Object.keys(files).filter((path) => path.startsWith(`${folder}/`))
      );
    },
    async leave(path, content) {
      const to = localPath(path);
      const temporary = `${to}.${randomUUID()}.tmp`;
      await mkdir(dirname(to), { recursive: true });
      if (content instanceof Uint8Array) await writeFile(temporary, content);
      else await copyFile(content.file, temporary);
      await rename(temporary, to);
      await base.publish(to);
    },
    remove: async (path) => base.remove(localPath(path)),
  };
}

/** No link: a step that writes into its input would change what other tasks read. */
async function copy(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  await copyFile(from, to, constants.COPYFILE_FICLONE);
}

/** Answered with `INVALID_PARAMETER`. */
function refused(message: string): Error {
  return Object.assign(new Error(message), { code: status.INVALID_ARGUMENT });
}
