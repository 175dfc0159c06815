import { GevulotError } from "gevulot-sdk";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    STEP_FAILED: { command: string };
    STEP_CANCELLED: { command: string };
  }
}

/** @param said what the command or program said last */
export function stepFailed(command: string, what: string, said: string, cause?: unknown): GevulotError {
  return new GevulotError("STEP_FAILED", `${command} ${what}${said === "" ? "" : `: ${said}`}`, {
    context: { command },
    cause,
  });
}

export function stepCancelled(command: string): GevulotError {
  return new GevulotError("STEP_CANCELLED", `${command} was cancelled`, { context: { command } });
}
