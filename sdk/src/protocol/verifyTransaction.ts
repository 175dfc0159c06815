import { type ErrorContexts, GevulotError } from "../errors.ts";
import { sha3_256 } from "./hash.ts";
import { hexToBytes } from "./hex.ts";
import { programHash } from "./program.ts";
import { verifySignature } from "./signature.ts";
import type { Hash, Transaction } from "./transaction.ts";
import { signingMessage, transactionHash } from "./transactionHash.ts";

/**
 * What to do with a transaction that does not verify. `drop`: it isn't its author's, so nothing that it says counts,
 * its hash included. `refuse`: its author made it, and it can never be taken; say so under its hash.
 */
export type Verdict = "drop" | "refuse";

declare module "../errors.ts" {
  interface ErrorContexts {
    TRANSACTION_HASH_DIFFERS: { verdict: "drop"; hash: Hash; computed: Hash };
    TRANSACTION_SIGNATURE_WRONG: { verdict: "drop"; hash: Hash };
    RUN_PROGRAM_TWICE: { verdict: "refuse"; hash: Hash; program: Hash };
    PROGRAM_HASH_DIFFERS: { verdict: "refuse"; hash: Hash; program: Hash; computed: Hash };
  }
}

/** Codes of {@link verifyTransaction}; the context of each has a {@link Verdict}. */
export const VERIFY_ERROR_CODES = [
  "TRANSACTION_HASH_DIFFERS",
  "TRANSACTION_SIGNATURE_WRONG",
  "RUN_PROGRAM_TWICE",
  "PROGRAM_HASH_DIFFERS",
] as const satisfies readonly (keyof ErrorContexts)[];

/** Faster implementations, where the platform has them; the defaults run everywhere. */
export interface VerifyDeps {
  readonly sha3_256?: (bytes: Uint8Array) => Uint8Array;
  /** Must take either s. Signature 64 bytes (r, s big-endian), message 32, key 65. */
  readonly verifySignature?: (signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array) => boolean;
}

/**
 * Checks what can be told from the transaction alone (protocol section 3): its hash field, its signature, that a Run
 * names no program in two steps, and that a Deploy's program hashes fit their fields. Throws one of
 * {@link VERIFY_ERROR_CODES}. A Run without steps passes here; whether to take it is the node's to say (section 4).
 */
export function verifyTransaction(transaction: Transaction, deps: VerifyDeps = {}): void {
  const { hash, author, signature, payload } = transaction;
  const computed = transactionHash(transaction, deps.sha3_256 ?? sha3_256);
  if (computed !== hash) {
    throw new GevulotError(
      "TRANSACTION_HASH_DIFFERS",
      `The transaction's hash field is ${hash}, but its fields hash to ${computed}; it was changed after it was hashed. Sign it anew.`,
      { context: { verdict: "drop", hash, computed } },
    );
  }
  const verify = deps.verifySignature ?? verifySignature;
  if (!verify(hexToBytes(signature), signingMessage(hash), hexToBytes(author))) {
    throw new GevulotError(
      "TRANSACTION_SIGNATURE_WRONG",
      `The signature of transaction ${hash} is not its author's. Sign it with the key whose public key is the author.`,
      { context: { verdict: "drop", hash } },
    );
  }
  if (payload.kind === "run") checkSteps(hash, payload.steps);
  if (payload.kind === "deploy")
    for (const program of [payload.prover, payload.verifier]) checkProgram(hash, program);
}

function checkSteps(hash: Hash, steps: readonly { readonly program: Hash }[]): void {
  const seen = new Set<Hash>();
  for (const { program } of steps) {
    if (seen.has(program)) {
      throw new GevulotError(
        "RUN_PROGRAM_TWICE",
        `Run ${hash} names program ${program} in two steps; a Run may name each program once. Deploy it under another name for the second step.`,
        { context: { verdict: "refuse", hash, program } },
      );
    }
    seen.add(program);
  }
}

function checkProgram(
  hash: Hash,
  program: Parameters<typeof programHash>[0] & { readonly hash: Hash },
): void {
  const computed = programHash(program);
  if (computed === program.hash) return;
  throw new GevulotError(
    "PROGRAM_HASH_DIFFERS",
    `Deploy ${hash} gives program "${program.name}" the hash ${program.hash}, but its fields hash to ${computed}. Compute the hash from name, file name, URL and checksum.`,
    { context: { verdict: "refuse", hash, program: program.hash, computed } },
  );
}
