import type { Logger } from "pino";
import { type Database, isConnectionLoss } from "../store/database.ts";
import { failLateRuns, readNextRunDeadline } from "../store/runDeadlines.ts";
import { runTooLate } from "./taskDeadline.ts";
import { createWakeableLoop } from "./wakeableLoop.ts";

/** After a look that failed, and while a task runs on that, if it is put back, is too late. */
const AGAIN_MS = 1_000;
const MAX_REST_MS = 60_000;

export interface RunDeadlines extends AsyncDisposable {
  /** A Run with a deadline was stored. */
  wake(): void;
}

/** Ends the Runs that wait when the deadline that their sender set passes, until it is disposed of. */
export function createRunDeadlines(deps: {
  readonly log: Logger;
  readonly database: Database;
  readonly onRunChanged: (run: string) => void;
}): RunDeadlines {
  const { log, database, onRunChanged } = deps;
  const stop = new AbortController();
  let restMs = AGAIN_MS;
  const round = async (): Promise<void> => {
    restMs = AGAIN_MS;
    for (const run of await failLateRuns(database, runTooLate())) {
      log.info({ run }, "a Run's deadline passed");
      onRunChanged(run);
    }
    const leftMs = await readNextRunDeadline(database);
    if (leftMs === null) restMs = MAX_REST_MS;
    else if (leftMs > 0) restMs = Math.min(leftMs + 1, MAX_REST_MS);
  };
  const loop = createWakeableLoop(
    () =>
      round().catch((error: unknown) => {
        if (isConnectionLoss(error)) log.warn("the database is away; deadlines of Runs wait for it");
        else log.error({ err: error }, "the deadlines of Runs were not looked at");
      }),
    { intervalMs: () => restMs, signal: stop.signal },
  );
  return {
    wake: loop.wake,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await loop.ended;
    },
  };
}
