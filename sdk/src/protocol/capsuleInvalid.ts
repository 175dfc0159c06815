import { GevulotError } from "../errors.ts";

// Apart from what opens capsules, which browsers are not to load with the client for the sake of a code.
declare module "../errors.ts" {
  interface ErrorContexts {
    /** Not a key capsule, damaged, or not sealed for the key. */
    CAPSULE_INVALID: { problem: string };
  }
}

export function capsuleInvalid(cause: unknown): GevulotError<"CAPSULE_INVALID"> {
  const problem = cause instanceof Error ? cause.message : String(cause);
  return new GevulotError(
    "CAPSULE_INVALID",
    `The key capsule can't be opened: ${problem.replace(/\.?$/, ".")} Check that it is whole and sealed for this key.`,
    { context: { problem }, cause },
  );
}
