import { GevulotError } from "../errors.ts";
import { secp256k1 } from "./curve.ts";
import { bytesToHex, hexToBytes } from "./hex.ts";
import type { PublicKey } from "./transaction.ts";

declare module "../errors.ts" {
  interface ErrorContexts {
    PUBLIC_KEY_INVALID: { text: string };
    SECRET_KEY_INVALID: { lengthBytes: number };
  }
}

export const SECRET_KEY_BYTES = 32;
export const PUBLIC_KEY_BYTES = 65;
const PUBLIC_KEY_HEX = /^04[0-9a-f]{128}$/;
const EXCERPT_CHARS = 140;

/** 32 random bytes that are a valid secp256k1 secret key. */
export function generateSecretKey(): Uint8Array {
  return secp256k1.utils.randomSecretKey();
}

/** The uncompressed public key. Throws `SECRET_KEY_INVALID`. */
export function publicKeyOf(secretKey: Uint8Array): PublicKey {
  return bytesToHex(secp256k1.getPublicKey(checkSecretKey(secretKey), false));
}

/** Gives the key back where it is 32 bytes within the curve's order. Throws `SECRET_KEY_INVALID`, without the key. */
export function checkSecretKey(secretKey: Uint8Array): Uint8Array {
  if (secretKey instanceof Uint8Array && secp256k1.utils.isValidSecretKey(secretKey)) return secretKey;
  throw new GevulotError(
    "SECRET_KEY_INVALID",
    "The secret key is not one of secp256k1; give 32 bytes, not zero and below the order of the curve.",
    { context: { lengthBytes: secretKey?.length ?? 0 } },
  );
}

/** Reads 130 hex digits of either case and checks that they are a point of the curve. Throws `PUBLIC_KEY_INVALID`. */
export function parsePublicKey(text: string): PublicKey {
  const key = text.toLowerCase();
  if (PUBLIC_KEY_HEX.test(key) && secp256k1.utils.isValidPublicKey(hexToBytes(key), false)) return key;
  throw new GevulotError(
    "PUBLIC_KEY_INVALID",
    `"${text.slice(0, EXCERPT_CHARS)}" is not a public key; give an uncompressed secp256k1 point as 130 hex digits beginning 04.`,
    { context: { text: text.slice(0, EXCERPT_CHARS) } },
  );
}
