import { write as writeToFd } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import type { ImageEntry } from "../imageFiles.ts";
import { type NanosFile, withPath } from "./openNanos.ts";
import { readTfsFile } from "./readTfsFile.ts";
import type { TfsEntry } from "./tfsTree.ts";
import { writeAt } from "./writeTfs.ts";

/** The file system has no modes: a program may read, write and execute whatever is there. */
const MODES = { file: "-rwxr-xr-x", directory: "drwxr-xr-x", link: "lrwxrwxrwx" } as const;
const ZEROS = Buffer.alloc(2 ** 16);
const AGAIN_MS = 5;

/** Sorted by path, as others show it. */
export function listNanosFiles(entries: readonly TfsEntry[]): ImageEntry[] {
  return entries
    .map((entry): ImageEntry => {
      const { kind, path } = entry;
      const sizeBytes = entry.kind === "file" ? entry.sizeBytes : 0;
      const shown = { kind, path, mode: MODES[kind], sizeBytes };
      return entry.kind === "link" ? { ...shown, target: entry.target } : shown;
    })
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** To a file, which stays sparse where nothing is stored, or to a stream by its file descriptor. */
export async function writeNanosFile(
  file: NanosFile,
  entry: TfsEntry | undefined,
  output: FileHandle | number,
  signal?: AbortSignal,
): Promise<void> {
  if (entry?.kind !== "file") throw new Error(`there is no such file in ${file.path}`);
  await withPath(file.path, async () => {
    let at = 0;
    for await (const piece of readTfsFile(file.handle, file.root.region, entry, signal)) {
      if (typeof output !== "number") {
        if ("data" in piece) await writeAt(output, at, piece.data);
      } else if ("data" in piece) await writeStream(output, piece.data);
      else await writeZeros(output, piece.zeros, signal);
      at += "data" in piece ? piece.data.length : piece.zeros;
    }
    if (typeof output !== "number") await output.truncate(at);
  });
}

async function writeZeros(fd: number, count: number, signal?: AbortSignal): Promise<void> {
  for (let left = count; left > 0; left -= ZEROS.length) {
    signal?.throwIfAborted();
    await writeStream(fd, ZEROS.subarray(0, Math.min(left, ZEROS.length)));
  }
}

async function writeStream(fd: number, bytes: Buffer): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    try {
      done += (await promisify(writeToFd)(fd, bytes, done, bytes.length - done)).bytesWritten;
    } catch (error) {
      // A pipe that is full, and whose other end somebody made non-blocking.
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      await delay(AGAIN_MS);
    }
  }
}
