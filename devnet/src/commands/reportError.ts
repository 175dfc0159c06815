import { isGevulotError } from "gevulot-sdk";

export const EXIT_FAILURE = 1;
export const EXIT_USAGE = 2;

/** One line what was wrong and what to do; a stack only for what we did not foresee. */
export function errorText(error: unknown): string {
  if (isGevulotError(error)) return `error: ${error.message}`;
  if (error instanceof AggregateError) return error.errors.map(errorText).join("\n");
  return `error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
}

/** Runs a command's work; what it throws is printed, and the process ends with a code that isn't 0. */
export async function reportErrors(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    process.stderr.write(`${errorText(error)}\n`);
    process.exitCode = EXIT_FAILURE;
  }
}
