import { createRequire } from "node:module";
import {
  bytesToHex,
  checkSecretKey,
  publicKeyOf as slowPublicKeyOf,
  signMessage as slowSign,
} from "gevulot-sdk/protocol";

type Bindings = typeof import("secp256k1");

/** Null where there is no addon for this machine. */
const native = load();

function load(): Bindings | null {
  try {
    // Not the package's entry: that would fall back to slow code of its own.
    return createRequire(import.meta.url)("secp256k1/bindings.js") as Bindings;
  } catch {
    return null;
  }
}

/**
 * As the SDK's, by native code: that of JavaScript first makes a table, which is a good part of a node's start.
 *
 * @throws GevulotError `SECRET_KEY_INVALID`
 */
export function publicKeyOf(secretKey: Uint8Array): string {
  if (native === null) return slowPublicKeyOf(secretKey);
  return bytesToHex(native.publicKeyCreate(checkSecretKey(secretKey), false));
}

/**
 * As the SDK's, by native code; the same bytes.
 *
 * @throws GevulotError `SECRET_KEY_INVALID`
 */
export function signMessage(message: Uint8Array, secretKey: Uint8Array): Uint8Array {
  if (native === null) return slowSign(message, secretKey);
  return native.ecdsaSign(message, checkSecretKey(secretKey)).signature;
}
