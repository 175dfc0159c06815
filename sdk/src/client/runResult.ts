import { getTransaction } from "../actions/getTransaction.ts";
import type { ActionOptions, ClientContext } from "../context/context.ts";
import { GevulotError } from "../errors.ts";
import { bytesToHex } from "../protocol/hex.ts";
import type { RpcFile, RpcTransaction } from "../protocol/rpc/rpcTransaction.ts";
import { type Authenticity, verifyRpcTransaction } from "../protocol/rpc/verifyRpcTransaction.ts";
import type { Hash, PublicKey } from "../protocol/transaction.ts";
import { createOutputFile, type OutputFile } from "./outputFile.ts";
import type { CompleteRun } from "./waitForRun.ts";

declare module "../errors.ts" {
  interface ErrorContexts {
    /** What the node shows as a Run's Proof or Verification is not one. */
    RESULT_NOT_GENUINE: { hash: Hash; problem: string };
  }
}

export interface RunResult {
  readonly run: Hash;
  readonly proofs: readonly ProofResult[];
  readonly verifications: readonly VerificationResult[];
  /** False where Verifications of the same Proof carry different data: look at each one's `author` and `data`. */
  readonly verifiersAgree: boolean;
}

interface TaskResult {
  readonly hash: Hash;
  /** Public key of the node that ran the program. */
  readonly author: PublicKey;
  /** What the program gave back, in its own form. */
  readonly data: Uint8Array;
  readonly files: readonly OutputFile[];
  /** How far the author's signature covers what is shown here. */
  readonly authenticity: Authenticity;
}

export interface ProofResult extends TaskResult {
  readonly prover: Hash;
}

export interface VerificationResult extends TaskResult {
  readonly verifier: Hash;
  /** The Proof that was verified. */
  readonly proof: Hash;
}

/** Gets the transactions that a Run has ended in, and checks that they are its own. Throws `RESULT_NOT_GENUINE`. */
export async function readRunResult(
  context: ClientContext,
  run: Hash,
  complete: CompleteRun,
  options: ActionOptions,
): Promise<RunResult> {
  const proofs: ProofResult[] = [];
  for (const hash of complete.proofs) {
    const { author, payload, authenticity } = await getGenuine(context, hash, options);
    if (payload.kind !== "proof" || payload.parent !== run)
      throw notGenuine(hash, `it is no Proof of run ${run}`);
    const { prover, proof: data } = payload;
    proofs.push({ hash, author, prover, data, files: outputFiles(context, payload.files), authenticity });
  }
  const verifications: VerificationResult[] = [];
  for (const hash of complete.verifications) {
    const { author, payload, authenticity } = await getGenuine(context, hash, options);
    if (payload.kind !== "verification" || !complete.proofs.includes(payload.parent)) {
      throw notGenuine(hash, `it is no Verification of a Proof of run ${run}`);
    }
    const { verifier, parent: proof, verification: data } = payload;
    verifications.push({
      hash,
      author,
      verifier,
      proof,
      data,
      files: outputFiles(context, payload.files),
      authenticity,
    });
  }
  return { run, proofs, verifications, verifiersAgree: agree(verifications) };
}

function agree(verifications: readonly VerificationResult[]): boolean {
  const dataOf = new Map<Hash, string>();
  return verifications.every(({ proof, data }) => {
    const text = bytesToHex(data);
    const first = dataOf.get(proof);
    if (first === undefined) dataOf.set(proof, text);
    return first === undefined || first === text;
  });
}

async function getGenuine(
  context: ClientContext,
  hash: Hash,
  options: ActionOptions,
): Promise<RpcTransaction & { readonly authenticity: Authenticity }> {
  const transaction = await getTransaction(context, hash, options);
  if (transaction.hash !== hash)
    throw notGenuine(hash, `the node shows transaction ${transaction.hash} instead`);
  try {
    return { ...transaction, authenticity: verifyRpcTransaction(transaction) };
  } catch (cause) {
    throw notGenuine(hash, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function outputFiles(context: ClientContext, files: readonly RpcFile[]): OutputFile[] {
  return files.map((file) => createOutputFile(context, file));
}

function notGenuine(hash: Hash, problem: string, cause?: unknown): GevulotError<"RESULT_NOT_GENUINE"> {
  return new GevulotError("RESULT_NOT_GENUINE", `The node's result ${hash} can't be trusted: ${problem}`, {
    context: { hash, problem },
    cause,
  });
}
