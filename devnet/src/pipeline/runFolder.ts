import { join } from "node:path";
import type { ProverVersion } from "./plan/planTasks.ts";

/** Where a run's data lies: the existing service's layout, which its prover nodes read and write. */
export interface RunFolder {
  /** What requests call `base_dir`. */
  readonly root: string;
  /** Files of the block; in a run without a block number, of block 0. */
  readonly block: string;
  readonly publicInput: string;
  readonly privateInput: string;
  readonly receiptInputs: string;
  readonly receipts: string;
  readonly outputStream: string;
  /** Segments `0`, `1`, … and `segments.txt`, which counts them while the split runs. */
  readonly segments: string;
  readonly segmentCount: string;
  readonly proves: string;
  readonly receiptFolder: string;
  readonly aggregates: string;
  readonly snarkProof: string;
  readonly starkProof: string;
  readonly verifyingKey: string;
  publicValues(version: ProverVersion): string;
  segment(index: number): string;
  deferredProof(index: number): string;
}

/** The existing service numbers deferred proofs from here on. */
const FIRST_DEFERRED = 65_536;

/** @param proofId a single file name: see `isFileName` in admit/fileName.ts */
export function runRoot(baseDir: string, proofId: string): string {
  return join(baseDir, "proof", proofId);
}

export function runFolder(root: string, blockNo: bigint | number | string | undefined): RunFolder {
  const input = join(root, "input_stream");
  const segments = join(root, "segment");
  const proves = join(root, "prove");
  return {
    root,
    block: join(root, `0_${blockNo ?? 0}`),
    publicInput: join(input, "public_input"),
    privateInput: join(input, "private_input"),
    receiptInputs: join(input, "receipt_inputs"),
    receipts: join(input, "receipts"),
    outputStream: join(root, "output_stream", "output_stream"),
    segments,
    segmentCount: join(segments, "segments.txt"),
    proves,
    receiptFolder: join(proves, "receipt"),
    aggregates: join(root, "aggregate"),
    snarkProof: join(root, "snark", "proof_with_public_inputs.json"),
    starkProof: join(root, "wrap", "proof_with_public_inputs.json"),
    verifyingKey: join(root, "vk.bin"),
    publicValues: (version) => join(root, "wrap", `public_values.${version === "zkm" ? "json" : "bin"}`),
    segment: (index) => join(segments, String(index)),
    deferredProof: (index) => join(segments, deferredProofName(index)),
  };
}

/** As files of the folder of segments are named that hold one. */
export const DEFERRED_PROOF = /^deferred_proof_(\d{1,9})$/;

/** Of a file in the folder of segments. */
export function deferredProofName(index: number): string {
  return `deferred_proof_${FIRST_DEFERRED + index}`;
}

/** ELFs are kept by their SHA-256, for requests that name one by its id. */
export function elfPath(baseDir: string, sha256Hex: string): string {
  return join(baseDir, "elf", sha256Hex);
}
