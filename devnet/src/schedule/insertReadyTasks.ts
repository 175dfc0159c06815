import type { Transaction } from "gevulot-sdk/protocol";
import type { Queryable } from "../store/database.ts";
import { readCountedProofs, readTransaction } from "../store/readTransactions.ts";
import { readSharing } from "../store/sharedRuns.ts";
import { insertTasks, isOver } from "../store/tasks.ts";
import { readyTasks } from "./workflow.ts";

/** Adds the tasks that can begin and aren't there yet, from what is stored of the Run. */
export async function insertReadyTasks(client: Queryable, run: string): Promise<void> {
  if (await isOver(client, run)) return;
  const tx = await readTransaction(client, run);
  const proofs = await readCountedProofs(client, run);
  const sharing = await readSharing(client, run);
  if (tx?.payload.kind !== "run") return;
  // Whose turn it is, the scheduler decides.
  const state = sharing === "assigned" ? "standby" : "queued";
  await insertTasks(client, readyTasks(tx as Transaction<"run">, proofs), state);
}
