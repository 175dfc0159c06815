import { bytesToHex, hexToBytes } from "../hex.ts";
import type { Hash, TxFile } from "../transaction.ts";
import { type Codec, encode } from "./codec.ts";
import { mapped, sequence, struct } from "./combinators.ts";
import { fixedBytes, string } from "./primitives.ts";

const HASH_BYTES = 32;

export const hashCodec: Codec<Hash> = mapped(fixedBytes(HASH_BYTES), { write: hexToBytes, read: bytesToHex });

export const txFilesCodec = sequence(struct<TxFile>({ name: string, url: string, checksum: hashCodec }));

/**
 * The file list as it goes into the hash of a Proof or Verification. Apart from the codec of whole transactions, which
 * hashing one does not need, and a page is not to load.
 */
export function encodeTxFiles(value: readonly TxFile[]): Uint8Array {
  return encode(txFilesCodec, value);
}
