import { randomBytes } from "node:crypto";
import { constants, createReadStream, createWriteStream } from "node:fs";
import { copyFile, link, mkdir, rename, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { checksumFile } from "gevulot-sdk/node";
import { BLOBS_FOLDER } from "./stateManifest.ts";

/** Contents of a state, each once, under its BLAKE3. */
export interface BlobFolder {
  /** @returns its hash */
  put(content: Readable): Promise<string>;
  /** As `put`, for a file whose content never changes: both places share it. */
  putFile(path: string, options: { readonly isFixed: boolean }): Promise<string>;
  read(hash: string): Readable;
  /** Puts a content at a path where there is none yet. */
  place(hash: string, path: string, options: { readonly isFixed: boolean }): Promise<void>;
  pathOf(hash: string): string;
  /** What was put, with its size. */
  list(): readonly { readonly hash: string; readonly bytes: number }[];
}

const FOLDER_MODE = 0o700;

export async function createBlobFolder(dir: string): Promise<BlobFolder> {
  const folder = join(dir, BLOBS_FOLDER);
  await mkdir(folder, { recursive: true, mode: FOLDER_MODE });
  const sizes = new Map<string, number>();
  const pathOf = (hash: string) => join(folder, hash);
  const newPath = () => join(folder, `.new-${randomBytes(8).toString("hex")}`);
  const keep = async (path: string): Promise<string> => {
    const hash = await checksumFile(path);
    sizes.set(hash, (await stat(path)).size);
    await rename(path, pathOf(hash));
    return hash;
  };
  return {
    pathOf,
    async put(content) {
      const path = newPath();
      await pipeline(content, createWriteStream(path, { mode: 0o600 }));
      return keep(path);
    },
    async putFile(source, { isFixed }) {
      const path = newPath();
      await (isFixed ? share(source, path) : copy(source, path));
      return keep(path);
    },
    read: (hash) => createReadStream(pathOf(hash)),
    place: (hash, path, { isFixed }) => (isFixed ? share : copy)(pathOf(hash), path),
    list: () => [...sizes].map(([hash, bytes]) => ({ hash, bytes })),
  };
}

/** A second name for a file, or a copy where the file system has no such thing. */
async function share(from: string, to: string): Promise<void> {
  await link(from, to).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "EEXIST") throw error;
    return copy(from, to);
  });
}

function copy(from: string, to: string): Promise<void> {
  return copyFile(from, to, constants.COPYFILE_FICLONE);
}
