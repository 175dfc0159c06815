import { setTimeout as delay } from "node:timers/promises";
import type { Transaction } from "gevulot-sdk/protocol";
import type { Logger } from "pino";
import type { IntakeTimes } from "../intake/intakeClock.ts";
import type { Database } from "../store/database.ts";
import {
  insertTransactionTimes,
  removeOldTransactionTimes,
  type TransactionTimes,
} from "../store/transactionTimes.ts";

/** Notes when transactions passed the intake, behind its back: nobody waits for it. */
export interface TraceWriter extends AsyncDisposable {
  add(tx: Transaction, times: IntakeTimes): void;
  /** Resolves when all that was added before is written, or lost. */
  flush(): Promise<void>;
}

/** What comes while the database is away is left out beyond this. */
const MAX_WAITING = 10_000;
const MAX_ROWS = 500;
/** Gathers what comes in a burst. */
const FLUSH_MS = 250;
export const KEEP_DAYS = 30;
const CLEAN_MS = 3_600_000;

export function createTraceWriter(deps: { readonly log: Logger; readonly database: Database }): TraceWriter {
  const { log, database } = deps;
  const stop = new AbortController();
  const waiting: TransactionTimes[] = [];
  let writing: Promise<void> | null = null;
  let nextCleanMs = 0;

  const writeAll = async (): Promise<void> => {
    try {
      while (waiting.length > 0) await insertTransactionTimes(database, waiting.splice(0, MAX_ROWS));
      if (Date.now() < nextCleanMs) return;
      nextCleanMs = Date.now() + CLEAN_MS;
      await removeOldTransactionTimes(database, KEEP_DAYS);
    } catch (error) {
      log.debug({ reason: (error as Error).message }, "times of transactions were not noted");
    }
  };
  const soon = (): void => {
    writing ??= delay(FLUSH_MS, undefined, { signal: stop.signal, ref: false })
      .catch(() => {})
      .then(writeAll)
      .finally(() => {
        writing = null;
        if (waiting.length > 0 && !stop.signal.aborted) soon();
      });
  };

  return {
    add(tx, times) {
      const about = aboutOf(tx);
      if (about === null || waiting.length >= MAX_WAITING) return;
      waiting.push({ tx: tx.hash, ...about, ...times });
      soon();
    },
    flush: writeAll,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await writing;
    },
  };
}

/** What it belongs to; null for what is no part of a Run. */
function aboutOf({ hash, payload }: Transaction): { parent: string; files: number } | null {
  if (payload.kind === "proof" || payload.kind === "verification")
    return { parent: payload.parent, files: payload.files.length };
  if (payload.kind !== "run") return null;
  const inputs = payload.steps.flatMap((step) => step.inputs.filter(({ kind }) => kind === "input"));
  return { parent: hash, files: inputs.length };
}
