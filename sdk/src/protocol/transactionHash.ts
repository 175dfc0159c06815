import { concatBytes } from "./bytes.ts";
import { canonicalPayload } from "./canonicalPayload.ts";
import { sha3_256 } from "./hash.ts";
import { bytesToHex, hexToBytes } from "./hex.ts";
import type { Hash, Transaction } from "./transaction.ts";

/** SHA3-256 of author, canonical payload and nonce as u64 big-endian (protocol section 3). */
export function transactionHash(
  transaction: Pick<Transaction, "author" | "payload" | "nonce">,
  sha3: (bytes: Uint8Array) => Uint8Array = sha3_256,
): Hash {
  const nonce = new Uint8Array(8);
  new DataView(nonce.buffer).setBigUint64(0, transaction.nonce);
  return bytesToHex(
    sha3(concatBytes([hexToBytes(transaction.author), canonicalPayload(transaction.payload), nonce])),
  );
}

/** The 32 bytes that are signed: the hash with its eight 32-bit words in reverse order. */
export function signingMessage(hash: Hash): Uint8Array {
  const bytes = hexToBytes(hash);
  const message = new Uint8Array(bytes.length);
  for (let word = 0; word < bytes.length; word += 4) {
    message.set(bytes.subarray(word, word + 4), bytes.length - 4 - word);
  }
  return message;
}
