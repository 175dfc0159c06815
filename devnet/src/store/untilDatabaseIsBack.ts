import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { isConnectionLoss } from "./database.ts";

const FIRST_WAIT_MS = 100;
const MAX_WAIT_MS = 2_000;
/** SQLSTATE classes of data that the database will never take: the same statement would fail again. */
const LASTING = /^(22|23|42)/;

/**
 * Does work that must not be lost again and again until the database takes it: it may be away, full, locked or busy.
 * Ends early only by the signal, or by an error that can't pass.
 */
export async function untilDatabaseIsBack(
  log: Logger,
  signal: AbortSignal,
  work: () => Promise<void>,
): Promise<void> {
  for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(waitMs * 2, MAX_WAIT_MS)) {
    try {
      return await work();
    } catch (error) {
      if (!mayPass(error)) throw error;
      log.warn({ reason: (error as Error).message }, "the task's end is kept until the database takes it");
      await delay(waitMs, undefined, { signal });
    }
  }
}

function mayPass(error: unknown): boolean {
  if (isConnectionLoss(error)) return true;
  const { code, severity } = error as { code?: unknown; severity?: unknown };
  if (typeof code !== "string") return false;
  // What comes from PostgreSQL has a severity; other codes are the system's: a connection that broke.
  return severity === undefined ? /^E[A-Z]+$/.test(code) : !LASTING.test(code);
}
