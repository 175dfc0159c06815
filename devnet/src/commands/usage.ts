import type { Argv } from "yargs";
import { EXIT_USAGE } from "./reportError.ts";

/** A wrong command line: one line what, one line what to do. */
export function failUsage(message: string | null, error: Error | undefined, yargs: Argv): void {
  if (error) throw error;
  const script = yargs.parsed ? String(yargs.parsed.argv.$0) : "";
  process.stderr.write(`error: ${message}\nSee ${script} --help.\n`);
  process.exit(EXIT_USAGE);
}
