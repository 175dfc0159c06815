import { keccak_256 } from "@noble/hashes/sha3.js";
import type { Signer } from "../context/signer.ts";
import { concatBytes, utf8 } from "../protocol/bytes.ts";
import { secp256k1 } from "../protocol/curve.ts";
import { bytesToHex, hexToBytes } from "../protocol/hex.ts";
import { publicKeyOf } from "../protocol/keys.ts";
import { signMessage } from "../protocol/signature.ts";

/** Signs as an Ethereum account: EIP-191 personal messages. */
export interface EthereumSigner {
  /** 40 hex digits, lower case, without `0x`. */
  readonly address: string;
  /** 65 bytes r, s, v as hex without `0x`. */
  sign(text: string): string | Promise<string>;
}

/** Likewise, with its secret at hand. */
export interface EthereumKey extends EthereumSigner {
  sign(text: string): string;
}

const ADDRESS_FROM = 12;
const FIRST_RECOVERY_ID = 27;

/** @param secretKey 32 bytes */
export function createEthereumKey(secretKey: Uint8Array): EthereumKey {
  const publicKey = publicKeyOf(secretKey);
  return {
    address: addressOf(publicKey),
    sign(text) {
      const digest = digestOf(text);
      return withRecoveryId(signMessage(digest, secretKey), digest, publicKey);
    },
  };
}

/** An account of the network as an Ethereum account: the curve is the same. */
export function createEthereumSigner(signer: Signer): EthereumSigner {
  const { publicKey } = signer;
  return {
    address: addressOf(publicKey),
    async sign(text) {
      const digest = digestOf(text);
      return withRecoveryId(await signer.sign(digest), digest, publicKey);
    },
  };
}

function addressOf(publicKey: string): string {
  return bytesToHex(keccak_256(hexToBytes(publicKey).subarray(1)).subarray(ADDRESS_FROM));
}

function digestOf(text: string): Uint8Array {
  const message = utf8(text);
  return keccak_256(concatBytes([utf8(`\x19Ethereum Signed Message:\n${message.length}`), message]));
}

/** Signers give r and s alone: a trial tells which of the two keys that fit them is theirs. */
function withRecoveryId(signature: Uint8Array, digest: Uint8Array, publicKey: string): string {
  const options = { prehash: false, isCompressed: false };
  const first = secp256k1.recoverPublicKey(concatBytes([Uint8Array.of(0), signature]), digest, options);
  const id = bytesToHex(first) === publicKey ? 0 : 1;
  return `${bytesToHex(signature)}${(FIRST_RECOVERY_ID + id).toString(16)}`;
}
