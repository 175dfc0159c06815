import {
  encodeTransaction,
  randomNonce,
  signTransaction,
  type Transaction,
  type TxFile,
} from "gevulot-sdk/protocol";
import type { FileLayout } from "../files/layout.ts";
import type { Task } from "../store/tasks.ts";
import { type CollectedFile, OutputFileProblem, placeFile } from "./collectFiles.ts";

/** Of a transaction as bincode: what nodes can send to each other in one message (docs/p2p-v2.md), less its frame. */
export const MAX_TRANSACTION_BYTES = 9 * 2 ** 20 - 64;

export interface ResultDeps {
  readonly layout: FileLayout;
  readonly nodeSecretKey: Uint8Array;
  /** `http://host:port` of this node's file server; part of the signed result. */
  readonly fileBaseUrl: string;
}

/**
 * Makes the signed Proof or Verification of a task from what its program returned, and puts the output files where
 * that transaction's hash says (protocol sections 4 and 6).
 */
export async function createResultTransaction(
  deps: ResultDeps,
  task: Task,
  data: Uint8Array,
  collected: readonly CollectedFile[],
): Promise<Transaction<"proof"> | Transaction<"verification">> {
  const files: TxFile[] = collected.map(({ vmPath, checksum }) => ({
    name: vmPath,
    url: deps.fileBaseUrl,
    checksum,
  }));
  const nonce = randomNonce();
  const sign = { nonce, secretKey: deps.nodeSecretKey };
  const tx =
    task.kind === "proof"
      ? signTransaction({
          payload: { kind: "proof", parent: task.run, prover: task.program, proof: data, files },
          ...sign,
        })
      : signTransaction({
          payload: {
            kind: "verification",
            parent: task.proof as string,
            verifier: task.program,
            verification: data,
            files,
          },
          ...sign,
        });
  const bytes = encodeTransaction(tx).length;
  if (bytes > MAX_TRANSACTION_BYTES) {
    throw new OutputFileProblem(
      `The ${task.kind} would have ${bytes} bytes, ${MAX_TRANSACTION_BYTES} are allowed: hand large data over as files.`,
    );
  }
  for (const file of collected) {
    await placeFile(file, deps.layout.outputPath(tx.hash, file.checksum, file.vmPath));
  }
  return tx as Transaction<"proof"> | Transaction<"verification">;
}
