import { createPrivateKey, createPublicKey, diffieHellman, type KeyObject } from "node:crypto";

export const X25519_BYTES = 32;

/** What DER has before the 32 bytes of a key (RFC 8410). */
const PRIVATE_PREFIX = Buffer.from("302e020100300506032b656e04220420", "hex");
const PUBLIC_PREFIX = Buffer.from("302a300506032b656e032100", "hex");

export interface X25519KeyPair {
  readonly secret: KeyObject;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
}

export function x25519KeyPair(secretBytes: Uint8Array): X25519KeyPair {
  const der = Buffer.concat([PRIVATE_PREFIX, secretBytes]);
  const secret = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  const spki = createPublicKey(secret).export({ format: "der", type: "spki" });
  return { secret, publicKey: new Uint8Array(spki.subarray(PUBLIC_PREFIX.length)) };
}

/** The shared 32 bytes. Throws for a point of low order, whose shared secret would be known to all. */
export function x25519(own: X25519KeyPair, theirs: Uint8Array): Uint8Array {
  const der = Buffer.concat([PUBLIC_PREFIX, theirs]);
  const publicKey = createPublicKey({ key: der, format: "der", type: "spki" });
  return diffieHellman({ privateKey: own.secret, publicKey });
}
