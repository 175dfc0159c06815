import type { TaskFailure } from "gevulot-sdk";
import type { Transaction } from "gevulot-sdk/protocol";
import { firstTask, nextTask } from "../schedule/workflow.ts";
import { type Database, isConnectionLoss, type Queryable } from "../store/database.ts";
import { insertTransactions } from "../store/insertTransactions.ts";
import { readTransaction } from "../store/readTransactions.ts";
import { failOpenTasks, insertTasks, isCancelled, type NewTask } from "../store/tasks.ts";
import type { Fetched } from "./stages.ts";

/** Bounds what one failing transaction makes others wait for, and the parameters of a statement. */
const MAX_GROUP = 256;

const CANCELLED: Omit<TaskFailure, "step"> = {
  code: "CANCELLED",
  message: "The Run was cancelled by its author.",
  exitCode: null,
  signal: null,
  consoleTail: "",
};

export interface GroupCommit {
  /**
   * Stores a transaction and, where this node executes, in the same commit the task that it makes ready, so that
   * neither can be lost without the other.
   * @returns false where it was stored already.
   */
  store(tx: Fetched, alsoCommit?: (client: Queryable) => Promise<void>): Promise<boolean>;
}

interface Entry {
  readonly tx: Fetched;
  readonly alsoCommit: ((client: Queryable) => Promise<void>) | undefined;
  readonly resolve: (isNew: boolean) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * One commit at a time; what comes meanwhile shares the next one. A disk takes some hundred commits a second, however
 * much is in each. The intake bounds how many wait here.
 */
export function createGroupCommit(database: Database, options: { readonly execute: boolean }): GroupCommit {
  const waiting: Entry[] = [];
  let busy = false;

  const commit = (group: readonly Entry[]): Promise<ReadonlySet<string>> =>
    database.transaction(async (client) => {
      const txs = group.map(({ tx }) => tx);
      const fresh = await insertTransactions(client, txs);
      const news = txs.filter(({ hash }) => fresh.has(hash));
      if (options.execute) await insertTasks(client, await readyTasks(client, news));
      for (const { tx, alsoCommit } of group) if (fresh.has(tx.hash)) await alsoCommit?.(client);
      // Last, so that it ends what the same commit made ready.
      for (const { payload } of news) {
        if (payload.kind === "cancel") await failOpenTasks(client, payload.parent, CANCELLED);
      }
      return fresh;
    });

  const commitAll = async (group: readonly Entry[]): Promise<void> => {
    try {
      const fresh = await commit(group);
      for (const { tx, resolve } of group) resolve(fresh.has(tx.hash));
    } catch (error) {
      if (group.length === 1 || isConnectionLoss(error)) {
        for (const { reject } of group) reject(error);
        return;
      }
      // One of them can't be stored: each alone, so that it fails by itself.
      for (const entry of group) await commitAll([entry]);
    }
  };

  const work = async (): Promise<void> => {
    busy = true;
    while (waiting.length > 0) await commitAll(takeGroup(waiting));
    busy = false;
  };

  return {
    store: (tx, alsoCommit) =>
      new Promise((resolve, reject) => {
        waiting.push({ tx, alsoCommit, resolve, reject });
        if (!busy) void work();
      }),
  };
}

/** The oldest ones, no hash twice: two signatures of one transaction must not meet in one statement. */
function takeGroup(waiting: Entry[]): Entry[] {
  const hashes = new Set<string>();
  let length = 0;
  for (const { tx } of waiting) {
    if (hashes.has(tx.hash) || length === MAX_GROUP) break;
    hashes.add(tx.hash);
    length++;
  }
  return waiting.splice(0, length);
}

async function readyTasks(client: Queryable, txs: readonly Transaction[]): Promise<NewTask[]> {
  const tasks: NewTask[] = [];
  for (const tx of txs) {
    const task = await readyTask(client, tx);
    if (task !== null) tasks.push(task);
  }
  return tasks;
}

async function readyTask(client: Queryable, tx: Transaction): Promise<NewTask | null> {
  if (tx.payload.kind === "run") return firstTask(tx as Transaction<"run">);
  if (tx.payload.kind !== "proof") return null;
  if (await isCancelled(client, tx.payload.parent)) return null;
  const run = await readTransaction(client, tx.payload.parent);
  return run?.payload.kind === "run" ? nextTask(run as Transaction<"run">, tx as Transaction<"proof">) : null;
}
