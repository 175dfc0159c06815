import { EXIT_USAGE } from "./reportError.ts";

/** A wrong command line: one line what, one line what to do. */
export function failUsage(script: string) {
  return (message: string | null, error: Error | undefined): void => {
    if (error) throw error;
    process.stderr.write(`error: ${message}\nSee ${script} --help.\n`);
    process.exit(EXIT_USAGE);
  };
}
