import { getRunStatus } from "../actions/getRunStatus.ts";
import { getTransactionTree } from "../actions/getTransactionTree.ts";
import type { SentRun } from "../actions/run.ts";
import type { ClientContext } from "../context/context.ts";
import { type GevulotError, isGevulotError } from "../errors.ts";
import type { TransactionTree } from "../protocol/rpc/transactionTree.ts";
import type { Hash } from "../protocol/transaction.ts";
import type { RunStatus } from "../runStatus.ts";
import { type RunStage, stageOfStatus } from "./runStage.ts";
import { taskFailed } from "./taskFailed.ts";

/** What one look at a Run found. */
export type RunProgress =
  | { readonly kind: "underWay"; readonly stage: RunStage }
  | { readonly kind: "complete"; readonly proofs: readonly Hash[]; readonly verifications: readonly Hash[] }
  | { readonly kind: "failed"; readonly error: GevulotError<"TASK_FAILED"> };

export interface ProgressReader {
  read(signal: AbortSignal): Promise<RunProgress>;
}

export interface ProgressOptions {
  readonly minVerifications: number;
  readonly onStatus?: ((status: RunStatus) => void) | undefined;
}

const METHOD_NOT_FOUND = -32601;

/**
 * Looks by `getRunStatus`, and by `getTransactionTree` where the node lacks it: such a node tells nothing of a Run
 * before its first Verification, and nothing of failures.
 */
export function createProgressReader(
  context: ClientContext,
  run: SentRun,
  options: ProgressOptions,
): ProgressReader {
  const { onStatus, minVerifications } = options;
  let byTree = false;
  const look = async (signal: AbortSignal): Promise<RunProgress> => {
    if (byTree) return readTree(context, run, signal);
    try {
      const status = await getRunStatus(context, run.hash, { signal, retries: 0 });
      onStatus?.(status);
      return progressOf(status);
    } catch (error) {
      if (!isGevulotError(error, "RPC_CALL_INVALID") || error.context.rpcCode !== METHOD_NOT_FOUND)
        throw error;
      byTree = true;
      return readTree(context, run, signal);
    }
  };
  return {
    read: async (signal) => {
      const progress = await look(signal);
      // A Run of one step ends with its Proof.
      if (progress.kind !== "complete" || progress.verifications.length === 0) return progress;
      const count = progress.verifications.length;
      if (count >= minVerifications) return progress;
      const text = `verified by ${count} of ${minVerifications} verifications`;
      return { kind: "underWay", stage: { state: "complete", text, hasStarted: true } };
    },
  };
}

function progressOf(status: RunStatus): RunProgress {
  if (status.state === "failed") return { kind: "failed", error: taskFailed(status) };
  if (status.state !== "complete") return { kind: "underWay", stage: stageOfStatus(status) };
  return { kind: "complete", proofs: status.proofs, verifications: status.verifications };
}

async function readTree(context: ClientContext, run: SentRun, signal: AbortSignal): Promise<RunProgress> {
  const tree = await findTree(context, run.hash, signal);
  const children = childrenOf(tree);
  const proofs = children.map((child) => child.hash);
  const verifications = children.flatMap(childrenOf).map((leaf) => leaf.hash);
  const isComplete = run.stepCount === 1 ? proofs.length > 0 : verifications.length > 0;
  if (isComplete) return { kind: "complete", proofs, verifications };
  const text =
    proofs.length > 0 ? "proven, not verified yet" : "sent; this node tells no more before a verification";
  // Such a node does not say whether a task has started, so that none may have is never claimed.
  return { kind: "underWay", stage: { state: null, text, hasStarted: true } };
}

async function findTree(
  context: ClientContext,
  run: Hash,
  signal: AbortSignal,
): Promise<TransactionTree | null> {
  try {
    return await getTransactionTree(context, run, { signal, retries: 0 });
  } catch (error) {
    if (isGevulotError(error, "REFUSED") && error.context.kind !== "Unauthorized") return null;
    throw error;
  }
}

function childrenOf(tree: TransactionTree | null): readonly TransactionTree[] {
  return tree === null || tree.kind === "leaf" ? [] : tree.children;
}
