import { createHash, createHmac } from "node:crypto";
import { type Cipher, createCipher } from "./cipher.ts";

const HASH = "blake2s256";
const HASH_BYTES = 32;

/** What both sides have mixed so far (Noise, "SymmetricState"). */
export interface SymmetricState {
  mixHash(data: Uint8Array): void;
  mixKey(material: Uint8Array): void;
  mixKeyAndHash(material: Uint8Array): void;
  encryptAndHash(plaintext: Uint8Array): Uint8Array;
  /** Null where the bytes were not made with the same key and history. */
  decryptAndHash(ciphertext: Uint8Array): Uint8Array | null;
  readonly handshakeHash: Uint8Array;
  /** The transport ciphers: the initiator's, the responder's. */
  split(): readonly [Cipher, Cipher];
}

export function createSymmetricState(protocolName: string): SymmetricState {
  const name = Buffer.from(protocolName);
  let h = name.length <= HASH_BYTES ? Buffer.concat([name], HASH_BYTES) : digest(name);
  let chainingKey: Uint8Array = h;
  let cipher: Cipher | null = null;

  const mixHash = (data: Uint8Array): void => {
    h = digest(h, data);
  };
  return {
    mixHash,
    mixKey(material) {
      const [next, key] = derive(chainingKey, material, 2);
      chainingKey = next!;
      cipher = createCipher(key!);
    },
    mixKeyAndHash(material) {
      const [next, hashed, key] = derive(chainingKey, material, 3);
      chainingKey = next!;
      mixHash(hashed!);
      cipher = createCipher(key!);
    },
    encryptAndHash(plaintext) {
      const ciphertext = cipher === null ? plaintext : cipher.encrypt(plaintext, h);
      mixHash(ciphertext);
      return ciphertext;
    },
    decryptAndHash(ciphertext) {
      const plaintext = cipher === null ? ciphertext : cipher.decrypt(ciphertext, h);
      if (plaintext !== null) mixHash(ciphertext);
      return plaintext;
    },
    get handshakeHash() {
      return h;
    },
    split() {
      const [first, second] = derive(chainingKey, new Uint8Array(0), 2);
      return [createCipher(first!), createCipher(second!)];
    },
  };
}

function digest(...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash(HASH);
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/** Noise's HKDF. */
function derive(chainingKey: Uint8Array, material: Uint8Array, count: number): Uint8Array[] {
  const secret = hmac(chainingKey, material);
  const outputs: Uint8Array[] = [];
  for (let index = 1; index <= count; index++) {
    outputs.push(hmac(secret, Buffer.concat([outputs.at(-1) ?? new Uint8Array(0), Uint8Array.of(index)])));
  }
  return outputs;
}

function hmac(key: Uint8Array, data: Uint8Array): Uint8Array {
  return createHmac(HASH, key).update(data).digest();
}
