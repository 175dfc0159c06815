import type { Transaction } from "gevulot-sdk/protocol";
import { firstTask, nextTask } from "../schedule/workflow.ts";
import type { Database, Queryable } from "../store/database.ts";
import { insertTransaction } from "../store/insertTransaction.ts";
import { readTransaction } from "../store/readTransactions.ts";
import { insertTask, type NewTask } from "../store/tasks.ts";
import type { Fetched } from "./stages.ts";

/**
 * Stores a transaction and, where this node executes, in the same commit the task that it makes ready, so that
 * neither can be lost without the other.
 * @returns false where it was stored already.
 */
export async function storeTransaction(
  database: Database,
  tx: Fetched,
  options: { readonly execute: boolean; readonly alsoCommit?: (client: Queryable) => Promise<void> },
): Promise<boolean> {
  return database.transaction(async (client) => {
    if (!(await insertTransaction(client, tx))) return false;
    const task = options.execute ? await readyTask(client, tx) : null;
    if (task !== null) await insertTask(client, task);
    await options.alsoCommit?.(client);
    return true;
  });
}

async function readyTask(client: Queryable, tx: Transaction): Promise<NewTask | null> {
  if (tx.payload.kind === "run") return firstTask(tx as Transaction<"run">);
  if (tx.payload.kind !== "proof") return null;
  const run = await readTransaction(client, tx.payload.parent);
  return run?.payload.kind === "run" ? nextTask(run as Transaction<"run">, tx as Transaction<"proof">) : null;
}
