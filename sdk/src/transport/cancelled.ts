import { GevulotError } from "../errors.ts";

declare module "../errors.ts" {
  interface ErrorContexts {
    /** The caller's signal was aborted; its reason is the cause. */
    CANCELLED: { what: string };
  }
}

/** The error for a wait that the caller ended. `what` says what was waited for. */
export function cancelled(what: string, signal: AbortSignal): GevulotError<"CANCELLED"> {
  return new GevulotError("CANCELLED", `Cancelled while waiting for ${what}.`, {
    context: { what },
    cause: signal.reason,
  });
}
