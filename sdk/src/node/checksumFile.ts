import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { Blake3Hasher } from "@napi-rs/blake-hash";
import type { LocalChecksum } from "../context/platform.ts";
import { GevulotError } from "../errors.ts";
import type { Hash } from "../protocol/transaction.ts";
import { cancelled } from "../transport/cancelled.ts";

declare module "../errors.ts" {
  interface ErrorContexts {
    /** A file of this machine; `reason` is the system's code, as `ENOENT`. */
    FILE_UNREADABLE: { path: string; reason: string };
  }
}

const CHUNK_BYTES = 1024 * 1024;

/** BLAKE3-256 of a file of any size, in constant memory. Throws `FILE_UNREADABLE` or `CANCELLED`. */
export async function checksumFile(path: string, options: LocalChecksum = {}): Promise<Hash> {
  const { signal, onBytes } = options;
  const hasher = new Blake3Hasher();
  try {
    const { size } = onBytes ? await stat(path) : { size: 0 };
    let doneBytes = 0;
    const stream = createReadStream(path, { highWaterMark: CHUNK_BYTES, ...(signal ? { signal } : {}) });
    for await (const chunk of stream) {
      hasher.update(chunk as Uint8Array);
      doneBytes += chunk.length;
      onBytes?.(doneBytes, size);
    }
    if (doneBytes === 0) onBytes?.(0, 0);
  } catch (cause) {
    if (signal?.aborted) throw cancelled(`the checksum of ${path}`, signal);
    throw unreadable(path, cause);
  }
  return hasher.digest("hex");
}

/** The error for a file that can't be read, whatever the system says about it. */
export function unreadable(path: string, cause: unknown): GevulotError<"FILE_UNREADABLE"> {
  const reason = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
  return new GevulotError(
    "FILE_UNREADABLE",
    `Can't read the file ${path} (${reason}). Check the path and its permissions.`,
    {
      context: { path, reason },
      cause,
    },
  );
}
