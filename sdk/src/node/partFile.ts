import { type FileHandle, open, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { Blake3Hasher } from "@napi-rs/blake-hash";
import { makeFolder } from "./makeFolder.ts";

/** Less is sooner downloaded again than explained to who finds it. */
const MIN_KEPT_BYTES = 2 ** 20;
const CHUNK_BYTES = 2 ** 20;

/** The first bytes of a file that is arriving, and their BLAKE3. */
export interface PartFile {
  /** How many bytes are there. */
  length(): number;
  /** From here on bytes are appended: where it ends, or at 0, which throws away what is there. */
  begin(start: number): Promise<void>;
  append(chunk: Uint8Array): Promise<void>;
  /** Of all that is there. Puts it on the disk; nothing can be appended after it but after `begin(0)`. */
  digest(): Promise<string>;
  close(): Promise<void>;
  /** Removes the file, unless it is worth going on with. */
  leave(): Promise<void>;
  remove(): Promise<void>;
}

/** Opens what an earlier download has left, if there is something; reads it once, to hash it. */
export async function openPartFile(path: string, maxBytes: number, signal: AbortSignal): Promise<PartFile> {
  let file: FileHandle | undefined = await open(path, "r+").catch(() => undefined);
  let hasher = new Blake3Hasher();
  let length = 0;
  if (file !== undefined) {
    const left = await hashFile(file, maxBytes, hasher, signal).catch(async (error) => {
      await file?.close();
      throw error;
    });
    length = left;
  }
  const remove = async () => rm(path, { force: true });
  return {
    length: () => length,
    async begin(start) {
      if (file === undefined) {
        await makeFolder(dirname(path));
        file = await open(path, "w+");
      }
      if (start === 0) {
        await file.truncate(0);
        hasher = new Blake3Hasher();
        length = 0;
      } else if (start !== length) throw new Error("bytes can only be appended");
    },
    async append(chunk) {
      hasher.update(chunk as Buffer);
      for (let done = 0; done < chunk.length; ) {
        const written = await file?.write(chunk, done, chunk.length - done, length);
        done += written?.bytesWritten ?? 0;
        length += written?.bytesWritten ?? 0;
      }
    },
    async digest() {
      await file?.sync();
      return hasher.digest("hex");
    },
    async close() {
      await file?.close();
      file = undefined;
    },
    async leave() {
      if (length < MIN_KEPT_BYTES) await remove();
    },
    remove,
  };
}

/** Gives the length; 0, and nothing hashed, where it is longer than the file may be. */
async function hashFile(
  file: FileHandle,
  maxBytes: number,
  hasher: Blake3Hasher,
  signal: AbortSignal,
): Promise<number> {
  const { size } = await file.stat();
  if (size > maxBytes) return 0;
  const chunk = Buffer.alloc(Math.min(size, CHUNK_BYTES));
  let length = 0;
  while (length < size) {
    signal.throwIfAborted();
    const { bytesRead } = await file.read(chunk, 0, chunk.length, length);
    if (bytesRead === 0) break;
    hasher.update(chunk.subarray(0, bytesRead));
    length += bytesRead;
  }
  return length;
}
