import { safeText } from "gevulot-sdk/node";
import { errorEnvelope, okEnvelope, printEnvelope } from "./envelope.ts";
import { EXIT_FAILURE, errorText } from "./reportError.ts";

/** What a command gives: lines for people, data for `--json`. */
export interface Output {
  readonly lines: readonly string[];
  readonly data: unknown;
  readonly warnings?: readonly string[];
}

export interface ReportOptions {
  readonly json: boolean;
  /** Nothing but errors. */
  readonly quiet?: boolean | undefined;
}

/** Runs a command's work and prints what it gives; what it throws is printed, and sets the exit code. */
export async function report(
  command: string,
  { json, quiet = false }: ReportOptions,
  work: () => Promise<Output>,
): Promise<void> {
  try {
    const { lines, data, warnings = [] } = await work();
    if (json) return printEnvelope(okEnvelope(command, data, warnings));
    for (const warning of warnings) process.stderr.write(`warning: ${safeText(warning)}\n`);
    if (!quiet && lines.length > 0) process.stdout.write(`${lines.map(safeText).join("\n")}\n`);
  } catch (error) {
    process.exitCode = EXIT_FAILURE;
    if (json) printEnvelope(errorEnvelope(command, error));
    else process.stderr.write(`${errorText(error)}\n`);
  }
}
