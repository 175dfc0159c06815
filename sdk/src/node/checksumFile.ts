import { createReadStream } from "node:fs";
import { Blake3Hasher } from "@napi-rs/blake-hash";
import type { Hash } from "../protocol/transaction.ts";

const CHUNK_BYTES = 1024 * 1024;

/** BLAKE3-256 of a file of any size, in constant memory. */
export async function checksumFile(
  path: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<Hash> {
  const { signal } = options;
  const hasher = new Blake3Hasher();
  const stream = createReadStream(path, { highWaterMark: CHUNK_BYTES, ...(signal ? { signal } : {}) });
  for await (const chunk of stream) hasher.update(chunk as Uint8Array);
  return hasher.digest("hex");
}
