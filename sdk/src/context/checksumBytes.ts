import type { Hash } from "../protocol/transaction.ts";
import type { Platform } from "./platform.ts";

/** BLAKE3-256 of bytes in memory. */
export async function checksumBytes(platform: Platform, bytes: Uint8Array): Promise<Hash> {
  const hasher = await platform.createBlake3();
  hasher.update(bytes);
  return hasher.digest();
}
