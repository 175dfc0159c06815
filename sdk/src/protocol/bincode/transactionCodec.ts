import { fromSignAndDigits, type SignAndDigits, toSignAndDigits } from "../bigInteger.ts";
import { bytesToHex, hexToBytes } from "../hex.ts";
import { PUBLIC_KEY_BYTES, parsePublicKey } from "../keys.ts";
import type {
  Payload,
  PayloadOf,
  ProgramData,
  ProgramMetadata,
  PublicKey,
  Resources,
  Signature,
  Transaction,
  WorkflowStep,
} from "../transaction.ts";
import { type Codec, decode, encode } from "./codec.ts";
import { mapped, nullable, sequence, struct, variants } from "./combinators.ts";
import { byteString, fixedBytes, string, u8, u32, u64 } from "./primitives.ts";
import { txFilesCodec as files, hashCodec as hash } from "./txFileCodec.ts";

type Fields<K extends Payload["kind"]> = Omit<PayloadOf<K>, "kind">;

const SCALAR_BYTES = 32;

export const publicKeyCodec: Codec<PublicKey> = mapped(byteString, {
  write: hexToBytes,
  read: (bytes) => {
    if (bytes.length !== PUBLIC_KEY_BYTES) throw new Error(`a public key of ${bytes.length} bytes`);
    return parsePublicKey(bytesToHex(bytes));
  },
});

/** Sixteen u32, least significant limb first, come to each scalar's bytes reversed. */
const signature: Codec<Signature> = mapped(fixedBytes(2 * SCALAR_BYTES), {
  write: (hex) => reverseScalars(hexToBytes(hex)),
  read: (bytes) => bytesToHex(reverseScalars(bytes)),
});

function reverseScalars(bytes: Uint8Array): Uint8Array {
  const reversed = bytes.slice();
  reversed.subarray(0, SCALAR_BYTES).reverse();
  reversed.subarray(SCALAR_BYTES).reverse();
  return reversed;
}

const sign: Codec<SignAndDigits["sign"]> = mapped(u8, {
  write: (value) => value & 255,
  read: (byte) => {
    if (byte === 0 || byte === 1) return byte;
    if (byte === 255) return -1;
    throw new Error(`a big integer's sign is -1, 0 or 1, not byte ${byte}`);
  },
});

const bigInteger: Codec<bigint> = mapped(struct<SignAndDigits>({ sign, digits: sequence(u32) }), {
  write: toSignAndDigits,
  read: fromSignAndDigits,
});

export const programMetadataCodec = struct<ProgramMetadata>({
  name: string,
  hash,
  imageFileName: string,
  imageFileUrl: string,
  imageFileChecksum: string,
  resources: nullable(struct<Resources>({ memMib: u64, cpus: u64, gpus: u64 })),
});

const programData = variants<ProgramData>({
  input: struct<Omit<Extract<ProgramData, { kind: "input" }>, "kind">>({
    fileName: string,
    fileUrl: string,
    checksum: string,
  }),
  output: struct<Omit<Extract<ProgramData, { kind: "output" }>, "kind">>({
    sourceProgram: hash,
    fileName: string,
  }),
});

const step = struct<WorkflowStep>({ program: hash, args: sequence(string), inputs: sequence(programData) });

/** Protocol section 3; the order is the index. */
const payload = variants<Payload>({
  empty: struct<Fields<"empty">>({}),
  transfer: struct<Fields<"transfer">>({ to: publicKeyCodec, value: bigInteger }),
  stake: struct<Fields<"stake">>({ value: bigInteger }),
  unstake: struct<Fields<"unstake">>({ value: bigInteger }),
  deploy: struct<Fields<"deploy">>({
    name: string,
    prover: programMetadataCodec,
    verifier: programMetadataCodec,
  }),
  run: struct<Fields<"run">>({ steps: sequence(step) }),
  proof: struct<Fields<"proof">>({ parent: hash, prover: hash, proof: byteString, files }),
  proofKey: struct<Fields<"proofKey">>({ parent: hash, key: byteString }),
  verification: struct<Fields<"verification">>({
    parent: hash,
    verifier: hash,
    verification: byteString,
    files,
  }),
  cancel: struct<Fields<"cancel">>({ parent: hash }),
});

export const transactionCodec = struct<Transaction>({
  author: publicKeyCodec,
  hash,
  payload,
  nonce: u64,
  signature,
});

/** A transaction's bincode. */
export function encodeTransaction(transaction: Transaction): Uint8Array {
  return encode(transactionCodec, transaction);
}

/** Reads a transaction that takes up all of the bytes; does not verify it. Throws `BINCODE_INVALID` with the offset. */
export function decodeTransaction(bytes: Uint8Array): Transaction {
  return decode(transactionCodec, bytes);
}
