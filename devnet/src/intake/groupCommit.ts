import type { TaskFailure } from "gevulot-sdk";
import type { Transaction } from "gevulot-sdk/protocol";
import { insertReadyTasks } from "../schedule/insertReadyTasks.ts";
import { readyTasks } from "../schedule/workflow.ts";
import { type Database, isConnectionLoss, type Queryable } from "../store/database.ts";
import { insertTransactions } from "../store/insertTransactions.ts";
import { failSharedRun, insertSharedRuns, type Sharing, unsettle } from "../store/sharedRuns.ts";
import { failOpenTasks, insertTasks } from "../store/tasks.ts";
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

export interface GroupCommitOptions {
  readonly execute: boolean;
  /** How Runs that come now are shared with other nodes; without it they are this node's alone. */
  readonly sharing?: () => Sharing;
}

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
export function createGroupCommit(database: Database, options: GroupCommitOptions): GroupCommit {
  const waiting: Entry[] = [];
  let busy = false;

  const commit = (group: readonly Entry[]): Promise<ReadonlySet<string>> =>
    database.transaction(async (client) => {
      const txs = group.map(({ tx }) => tx);
      const fresh = await insertTransactions(client, txs);
      const news = txs.filter(({ hash }) => fresh.has(hash));
      await addTasks(client, news, options);
      for (const { tx, alsoCommit } of group) if (fresh.has(tx.hash)) await alsoCommit?.(client);
      // Last, so that it ends what the same commit made ready.
      for (const { payload } of news) {
        if (payload.kind !== "cancel") continue;
        await failOpenTasks(client, payload.parent, CANCELLED);
        await failSharedRun(client, payload.parent, { ...CANCELLED, step: 0 });
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

/** The tasks that new Runs and Proofs make ready. */
async function addTasks(
  client: Queryable,
  txs: readonly Transaction[],
  options: GroupCommitOptions,
): Promise<void> {
  const runs = txs.filter((tx): tx is Transaction<"run"> => tx.payload.kind === "run");
  const sharing = options.sharing?.() ?? null;
  await insertSharedRuns(
    client,
    runs.map(({ hash }) => hash),
    sharing,
  );
  if (options.execute) {
    const tasks = runs.flatMap((run) => readyTasks(run, []));
    await insertTasks(client, tasks, sharing === "assigned" ? "standby" : "queued");
  }
  const proven = txs.flatMap(({ payload }) => (payload.kind === "proof" ? [payload.parent] : []));
  for (const run of new Set(proven)) {
    await unsettle(client, run);
    if (options.execute) await insertReadyTasks(client, run);
  }
}
