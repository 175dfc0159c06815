import { secp256k1 } from "./curve.ts";
import { checkSecretKey } from "./keys.ts";

export const SIGNATURE_BYTES = 64;

/** Signs 32 bytes as they are: RFC 6979, low s. Gives r then s, 32 bytes big-endian each. */
export function signMessage(message: Uint8Array, secretKey: Uint8Array): Uint8Array {
  return secp256k1.sign(message, checkSecretKey(secretKey), { prehash: false, lowS: true });
}

/** True where the 64-byte signature of the 32-byte message is the 65-byte key's; takes either s. Never throws. */
export function verifySignature(signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean {
  try {
    return secp256k1.verify(signature, message, publicKey, { prehash: false, lowS: false });
  } catch {
    // A scalar out of range or a point off the curve: no valid signature, which is all that is asked.
    return false;
  }
}
