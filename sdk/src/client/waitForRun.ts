import { GevulotError, isGevulotError } from "../errors.ts";
import type { Hash } from "../protocol/transaction.ts";
import { cancelled } from "../transport/cancelled.ts";
import { createDeadline, delay } from "../transport/deadline.ts";
import type { ProgressReader, RunProgress } from "./runProgress.ts";
import { type RunStage, UNHEARD_STAGE } from "./runStage.ts";

declare module "../errors.ts" {
  interface ErrorContexts {
    /** Time was up while no task of the Run had started. */
    NOT_SCHEDULED: { run: Hash; timeoutMs: number; stage: RunStage };
    /** Time was up while a task ran, or on a node that doesn't tell. */
    TIMED_OUT: { run: Hash; timeoutMs: number; stage: RunStage };
  }
}

export interface WaitOptions {
  readonly timeoutMs: number;
  /** How long the node may be away, as while it restarts, before the wait ends with `CANNOT_REACH_NODE`. */
  readonly unreachableMs: number;
  readonly signal?: AbortSignal | undefined;
}

export type CompleteRun = Extract<RunProgress, { kind: "complete" }>;

const FIRST_INTERVAL_MS = 50;
/** A failure is to reach the app within two seconds. */
const MAX_INTERVAL_MS = 500;
const INTERVAL_GROWTH = 1.3;

/**
 * Looks at a Run until it ends. Throws `TASK_FAILED`, `NOT_SCHEDULED`, `TIMED_OUT`, `CANCELLED`, `CANNOT_REACH_NODE`,
 * or `REFUSED` for a Run that the node does not know.
 */
export async function waitForRun(
  reader: ProgressReader,
  run: Hash,
  options: WaitOptions,
): Promise<CompleteRun> {
  const { timeoutMs, unreachableMs, signal } = options;
  const deadline = createDeadline(timeoutMs, signal);
  let stage = UNHEARD_STAGE;
  let lastHeard = performance.now();
  let away: GevulotError | undefined;
  let intervalMs = FIRST_INTERVAL_MS;
  for (;;) {
    try {
      const progress = await reader.read(deadline.signal);
      if (progress.kind === "complete") return progress;
      if (progress.kind === "failed") throw progress.error;
      stage = progress.stage;
      lastHeard = performance.now();
      away = undefined;
      await delay(intervalMs, deadline.signal);
    } catch (error) {
      if (isGevulotError(error, "TASK_FAILED")) throw error;
      if (signal?.aborted) throw cancelled(`run ${run}, last seen ${stage.text}`, signal);
      if (isGevulotError(error, "CANNOT_REACH_NODE")) away = error;
      if (deadline.isOver())
        throw stage === UNHEARD_STAGE && away ? away : outOfTime(run, timeoutMs, stage, away);
      if (error !== away || performance.now() - lastHeard > unreachableMs) throw error;
      // Its own reason comes first: should time be up meanwhile, the next look says so.
      await delay(intervalMs, deadline.signal).catch(() => {});
    }
    intervalMs = Math.min(MAX_INTERVAL_MS, intervalMs * INTERVAL_GROWTH);
  }
}

/** `cause`: why the last look failed, where it did. */
function outOfTime(run: Hash, timeoutMs: number, stage: RunStage, cause?: GevulotError): GevulotError {
  const context = { run, timeoutMs, stage };
  if (stage.hasStarted) {
    return new GevulotError(
      "TIMED_OUT",
      `Run ${run} has no result after ${timeoutMs} ms; last seen ${stage.text}. It goes on: ask for its result again, or give it more time.`,
      { context, cause },
    );
  }
  return new GevulotError(
    "NOT_SCHEDULED",
    `No task of run ${run} has started after ${timeoutMs} ms; last seen ${stage.text}. Check that the node executes programs and has the resources free.`,
    { context, cause },
  );
}
