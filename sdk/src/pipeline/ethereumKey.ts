import { keccak_256 } from "@noble/hashes/sha3.js";
import { concatBytes } from "../protocol/bytes.ts";
import { secp256k1 } from "../protocol/curve.ts";
import { bytesToHex } from "../protocol/hex.ts";

/** Signs as an Ethereum account: EIP-191 personal messages. */
export interface EthereumKey {
  /** 40 hex digits, lower case, without `0x`. */
  readonly address: string;
  /** 65 bytes r, s, v as hex without `0x`. */
  sign(text: string): string;
}

const ADDRESS_FROM = 12;
const FIRST_RECOVERY_ID = 27;

/** @param secretKey 32 bytes */
export function createEthereumKey(secretKey: Uint8Array): EthereumKey {
  const publicKey = secp256k1.getPublicKey(secretKey, false);
  return {
    address: bytesToHex(keccak_256(publicKey.subarray(1)).subarray(ADDRESS_FROM)),
    sign(text) {
      const message = new TextEncoder().encode(text);
      const prefix = new TextEncoder().encode(`\x19Ethereum Signed Message:\n${message.length}`);
      const digest = keccak_256(concatBytes([prefix, message]));
      // Recovery id, then r and s.
      const signature = secp256k1.sign(digest, secretKey, { prehash: false, format: "recovered" });
      return `${bytesToHex(signature.subarray(1))}${(FIRST_RECOVERY_ID + signature[0]!).toString(16)}`;
    },
  };
}
