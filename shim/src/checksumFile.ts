import { createReadStream } from "node:fs";

const CHUNK_BYTES = 1024 * 1024;

/** BLAKE3 of a file of any size, 32 bytes. */
export async function checksumFile(path: string): Promise<Uint8Array> {
  const { default: hashes } = await import("hash-wasm/dist/blake3.umd.min.js");
  const hasher = await hashes.createBLAKE3();
  for await (const chunk of createReadStream(path, { highWaterMark: CHUNK_BYTES }))
    hasher.update(chunk as Buffer);
  return hasher.digest("binary");
}
