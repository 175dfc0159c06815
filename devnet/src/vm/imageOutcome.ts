import { isGevulotError } from "gevulot-sdk";
import type { VmOutcome } from "./provider.ts";

/** What a task comes to that was called off before its VM started; null where it was not. */
export function endedBefore({ signal, late }: Omit<TaskSignals, "either">): VmOutcome | null {
  if (late.aborted) return { kind: "deadline" };
  return signal.aborted ? { kind: "cancelled" } : null;
}

export interface TaskSignals {
  readonly signal: AbortSignal;
  /** The Run's end. */
  readonly late: AbortSignal;
  readonly either: AbortSignal;
}

/** What a task whose image can't be used comes to. Throws the error again if it is not the image's fault. */
export function imageOutcome(error: unknown): VmOutcome {
  if (isGevulotError(error, "IMAGE_INVALID") || isGevulotError(error, "KERNEL_INVALID"))
    return { kind: "bootFailed", reason: error.message };
  throw error;
}
