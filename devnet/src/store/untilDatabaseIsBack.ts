import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { isConnectionLoss } from "./database.ts";

/** How long finished work waits for a database that is away, before it is given up. */
const PATIENCE_MS = 10 * 60_000;
const FIRST_WAIT_MS = 100;
const MAX_WAIT_MS = 2_000;

/** Does work that the database is needed for, again and again while it is away. */
export async function untilDatabaseIsBack(
  log: Logger,
  signal: AbortSignal,
  work: () => Promise<void>,
): Promise<void> {
  const giveUpAt = Date.now() + PATIENCE_MS;
  for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(waitMs * 2, MAX_WAIT_MS)) {
    try {
      return await work();
    } catch (error) {
      if (!isConnectionLoss(error) || Date.now() > giveUpAt) throw error;
      log.warn("the database is away; the task's end is kept and stored when it is back");
      await delay(waitMs, undefined, { signal });
    }
  }
}
