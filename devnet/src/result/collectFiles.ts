import { constants, createWriteStream } from "node:fs";
import { type FileHandle, lstat, mkdir, open, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { checksumFile } from "gevulot-sdk/node";
import { vmPathProblem, workspaceRelative } from "../files/layout.ts";
import { createGuestFileLook, type GuestFileLook } from "../vm/guestFile.ts";

/** An output file, copied out of the workspace. */
export interface CollectedFile {
  /** Its path in the VM. */
  readonly vmPath: string;
  readonly checksum: string;
  /** Where the copy is. */
  readonly path: string;
  readonly bytes: number;
}

/** Says which output file of a program can't be taken, and why; becomes the task's failure. */
export class OutputFileProblem extends Error {}

/**
 * Copies the files that a result names from the workspace into `stagingDir` and hashes them on the way. The
 * workspace was written by a guest: no link is followed in any part of the path, and only plain files are taken.
 */
export async function collectFiles(
  workspaceDir: string,
  vmPaths: readonly string[],
  stagingDir: string,
  options: { readonly maxBytes: number; readonly signal?: AbortSignal },
): Promise<CollectedFile[]> {
  await mkdir(stagingDir, { recursive: true });
  const collected: CollectedFile[] = [];
  const look = createGuestFileLook();
  let left = options.maxBytes;
  for (const vmPath of new Set(vmPaths)) {
    const problem = vmPathProblem(vmPath);
    if (problem !== null)
      throw new OutputFileProblem(`The result names the file "${vmPath}", but ${problem}.`);
    const handle = await openInside(workspaceDir, workspaceRelative(vmPath), vmPath, look);
    try {
      const { size } = await handle.stat();
      if (size > left) {
        throw new OutputFileProblem(`The output files are larger than ${options.maxBytes} bytes together.`);
      }
      left -= size;
      const path = join(stagingDir, String(collected.length));
      await copy(handle, path, size, options.signal);
      collected.push({ vmPath, checksum: await checksumFile(path), path, bytes: size });
    } finally {
      await handle.close().catch(() => {});
    }
  }
  return collected;
}

/**
 * Copies one file out of a workspace by a path that is ours, as far as `maxBytes`.
 *
 * @throws OutputFileProblem
 */
export async function copyFromWorkspace(
  workspaceDir: string,
  relativePath: string,
  target: string,
  maxBytes: number,
): Promise<void> {
  const handle = await openInside(workspaceDir, relativePath, relativePath, createGuestFileLook());
  try {
    const source = handle.createReadStream({ autoClose: false, end: maxBytes - 1 });
    await pipeline(source, createWriteStream(target));
  } finally {
    await handle.close().catch(() => {});
  }
}

async function openInside(
  root: string,
  relativePath: string,
  vmPath: string,
  look: GuestFileLook,
): Promise<FileHandle> {
  const segments = relativePath.split("/");
  let path = root;
  for (const segment of segments.slice(0, -1)) {
    path = join(path, segment);
    const info = await lstat(path).catch(() => null);
    if (!info) throw new OutputFileProblem(`The result names the file "${vmPath}", which does not exist.`);
    if (!info.isDirectory())
      throw new OutputFileProblem(`The path of "${vmPath}" leads through something that is no folder.`);
  }
  path = join(path, segments.at(-1) as string);
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") {
        throw new OutputFileProblem(`The result names the file "${vmPath}", which does not exist.`);
      }
      if (error.code === "ELOOP") throw isLink(vmPath);
      throw new OutputFileProblem(`The output file "${vmPath}" can't be read (${error.code}).`);
    },
  );
  const kind = (await handle.stat()).isFile() ? await look(handle, path) : "other";
  if (kind === "file") return handle;
  await handle.close();
  if (kind === "link") throw isLink(vmPath);
  throw new OutputFileProblem(`The output file "${vmPath}" is no plain file.`);
}

function isLink(vmPath: string): OutputFileProblem {
  return new OutputFileProblem(`The output file "${vmPath}" is a symbolic link. Name the file itself.`);
}

/** Not what a process that the program left behind may write meanwhile: only the size that was checked. */
async function copy(
  from: FileHandle,
  path: string,
  size: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (size === 0) return writeFile(path, "");
  const source = from.createReadStream({ autoClose: false, start: 0, end: size - 1 });
  await pipeline(source, createWriteStream(path), { ...(signal ? { signal } : {}) });
}

/** Puts a collected file where the file server and later steps find it. */
export async function placeFile(file: CollectedFile, target: string): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  await rename(file.path, target);
}
