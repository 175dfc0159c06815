import { createCipheriv, createDecipheriv } from "node:crypto";

export const TAG_BYTES = 16;
const ALGORITHM = "chacha20-poly1305";
const NONCE_BYTES = 12;
const COUNTER_OFFSET = 4;

/** One direction's key and its counter of nonces (Noise, "CipherState"). */
export interface Cipher {
  /** The plaintext encrypted, and its tag. */
  encrypt(plaintext: Uint8Array, additional?: Uint8Array): Uint8Array;
  /** Null where the bytes are not what the other side encrypted next; the counter then stands still. */
  decrypt(ciphertext: Uint8Array, additional?: Uint8Array): Uint8Array | null;
}

export function createCipher(key: Uint8Array): Cipher {
  // One for both ways: during the handshake both sides use the same key by turns.
  let counter = 0n;
  const options = { authTagLength: TAG_BYTES } as const;
  return {
    encrypt(plaintext, additional) {
      const cipher = createCipheriv(ALGORITHM, key, nonceOf(counter), options);
      counter += 1n;
      if (additional) cipher.setAAD(additional, { plaintextLength: plaintext.length });
      const body = cipher.update(plaintext);
      cipher.final();
      return Buffer.concat([body, cipher.getAuthTag()]);
    },
    decrypt(ciphertext, additional) {
      const length = ciphertext.length - TAG_BYTES;
      if (length < 0) return null;
      const decipher = createDecipheriv(ALGORITHM, key, nonceOf(counter), options);
      if (additional) decipher.setAAD(additional, { plaintextLength: length });
      decipher.setAuthTag(ciphertext.subarray(length));
      const plaintext = decipher.update(ciphertext.subarray(0, length));
      try {
        decipher.final();
      } catch {
        return null;
      }
      counter += 1n;
      return plaintext;
    },
  };
}

function nonceOf(counter: bigint): Uint8Array {
  const nonce = Buffer.alloc(NONCE_BYTES);
  nonce.writeBigUInt64LE(counter, COUNTER_OFFSET);
  return nonce;
}
