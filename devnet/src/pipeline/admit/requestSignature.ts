import { createRequire } from "node:module";
import { keccak_256 } from "@noble/hashes/sha3.js";

type Bindings = typeof import("secp256k1");
/** The pure JavaScript of the same package, where there are no bindings for this machine: one signature a request. */
const secp256k1 = createRequire(import.meta.url)("secp256k1") as Bindings;

const SIGNATURE_HEX = /^(?:0x)?([0-9a-fA-F]{128})([0-9a-fA-F]{2})$/;
/** Ethereum writes the recovery id as 27 or 28; 0 and 1 are seen too. */
const RECOVERY_IDS: Readonly<Record<number, number>> = { 0: 0, 1: 1, 27: 0, 28: 1 };

export interface SignedFields {
  readonly proofId: string;
  /** Part of the text where the request has it, also when it is 0. */
  readonly blockNo?: bigint | undefined;
  readonly segSize: number;
}

/** The text that a client signs: the ELF, the inputs and the target are not part of it (the pipeline's contract, section 2). */
export function signedText({ proofId, blockNo, segSize }: SignedFields): string {
  return [proofId, ...(blockNo === undefined ? [] : [blockNo]), segSize].join("&");
}

/**
 * The address that signed `text` as an EIP-191 personal message.
 * @param signature 65 bytes r, s, v as hex, with or without `0x`
 * @returns 40 hex digits in EIP-55 spelling without `0x`, or null where it is no signature
 */
export function recoverAddress(text: string, signature: string): string | null {
  const match = SIGNATURE_HEX.exec(signature);
  if (!match) return null;
  const recoveryId = RECOVERY_IDS[Number.parseInt(match[2]!, 16)];
  if (recoveryId === undefined) return null;
  const message = new TextEncoder().encode(text);
  const prefix = new TextEncoder().encode(`\x19Ethereum Signed Message:\n${message.length}`);
  const digest = keccak_256(Buffer.concat([prefix, message]));
  try {
    const publicKey = secp256k1.ecdsaRecover(Buffer.from(match[1]!, "hex"), recoveryId, digest, false);
    return checksumAddress(Buffer.from(keccak_256(publicKey.subarray(1)).subarray(12)).toString("hex"));
  } catch {
    // A scalar out of range, or no point with that r.
    return null;
  }
}

/** EIP-55: a letter is a capital where the hash of the lower-case address has a digit of 8 or above. */
export function checksumAddress(hex40: string): string {
  const lower = hex40.toLowerCase();
  const hash = Buffer.from(keccak_256(new TextEncoder().encode(lower))).toString("hex");
  return [...lower]
    .map((digit, at) => (Number.parseInt(hash[at]!, 16) >= 8 ? digit.toUpperCase() : digit))
    .join("");
}
