import { usageText } from "gevulot-sdk/node";
import { EXIT_USAGE } from "./reportError.ts";

/** A wrong command line: one line what, one line what to do. */
export function failUsage(script: string) {
  return (message: string | null, error: Error | undefined): void => {
    // What yargs finds wrong comes as a message, or as an error of its own; what a check finds, as text.
    if (error instanceof Error && error.name !== "YError") throw error;
    process.stderr.write(`error: ${usageText(message ?? error?.message ?? "")}\nSee ${script} --help.\n`);
    process.exit(EXIT_USAGE);
  };
}
