import type { VmOutcome, VmTask } from "./provider.ts";
import { MAX_TIMER_MS, timeLeft } from "./supervisor.ts";

/** What calls a task off. */
export interface TaskSignals {
  readonly signal: AbortSignal;
  /** The Run's end. */
  readonly late: AbortSignal;
  readonly either: AbortSignal;
}

export function taskSignals({ runEndsAtMs }: Pick<VmTask, "runEndsAtMs">, signal: AbortSignal): TaskSignals {
  const late = AbortSignal.timeout(Math.min(timeLeft(runEndsAtMs), MAX_TIMER_MS));
  return { signal, late, either: AbortSignal.any([signal, late]) };
}

/** What a task comes to that was called off before its VM started; null where it was not. */
export function endedBefore({ signal, late }: Omit<TaskSignals, "either">): VmOutcome | null {
  if (late.aborted) return { kind: "deadline" };
  return signal.aborted ? { kind: "cancelled" } : null;
}
