import type { Logger } from "pino";
import { type Database, isConnectionLoss } from "../store/database.ts";
import { failLateRuns } from "../store/runDeadlines.ts";
import { runTooLate } from "./taskDeadline.ts";
import { createWakeableLoop } from "./wakeableLoop.ts";

const LOOK_EVERY_MS = 1_000;

/** Ends the Runs that wait when the deadline that their sender set passes, until it is disposed of. */
export function createRunDeadlines(deps: {
  readonly log: Logger;
  readonly database: Database;
  readonly onRunChanged: (run: string) => void;
}): AsyncDisposable {
  const { log, database, onRunChanged } = deps;
  const stop = new AbortController();
  const round = async (): Promise<void> => {
    for (const run of await failLateRuns(database, runTooLate())) {
      log.info({ run }, "a Run's deadline passed");
      onRunChanged(run);
    }
  };
  const loop = createWakeableLoop(
    () =>
      round().catch((error: unknown) => {
        if (isConnectionLoss(error)) log.warn("the database is away; deadlines of Runs wait for it");
        else log.error({ err: error }, "the deadlines of Runs were not looked at");
      }),
    { intervalMs: LOOK_EVERY_MS, signal: stop.signal },
  );
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await loop.ended;
    },
  };
}
