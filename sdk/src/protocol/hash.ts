import { sha3_256 as nobleSha3 } from "@noble/hashes/sha3.js";
import { GevulotError } from "../errors.ts";
import type { Hash } from "./transaction.ts";

declare module "../errors.ts" {
  interface ErrorContexts {
    HASH_INVALID: { text: string };
  }
}

const HASH_HEX = /^[0-9a-f]{64}$/;
const EXCERPT_CHARS = 80;

/** SHA3-256, 32 bytes. */
export function sha3_256(bytes: Uint8Array): Uint8Array {
  return nobleSha3(bytes);
}

/** True for 64 lowercase hex digits, the one form in which hashes are kept and compared. */
export function isHash(value: unknown): value is Hash {
  return typeof value === "string" && HASH_HEX.test(value);
}

/** Reads 64 hex digits of either case. Throws `HASH_INVALID`. */
export function parseHash(value: string): Hash {
  const text = String(value);
  const hash = text.toLowerCase();
  if (isHash(hash)) return hash;
  throw new GevulotError(
    "HASH_INVALID",
    `"${text.slice(0, EXCERPT_CHARS)}" is not a hash; give 64 hex digits without 0x.`,
    { context: { text: text.slice(0, EXCERPT_CHARS) } },
  );
}
