import { isGevulotError } from "../errors.ts";
import { safeText } from "../node/safeText.ts";
import type { UsageText } from "../node/usageText.ts";
import { stringifyJson } from "../protocol/json/stringifyJson.ts";

/** Exit codes; 0 only where all was done. */
const EXIT = Object.freeze({
  failure: 1,
  usage: 2,
  unreachable: 3,
  refused: 4,
  runFailed: 5,
  timeUp: 6,
});

const EXIT_OF_CODE: Readonly<Record<string, number>> = {
  OPTION_INVALID: EXIT.usage,
  HASH_INVALID: EXIT.usage,
  CANNOT_REACH_NODE: EXIT.unreachable,
  REFUSED: EXIT.refused,
  TOKEN_REFUSED: EXIT.refused,
  TASK_FAILED: EXIT.runFailed,
  TIMED_OUT: EXIT.timeUp,
  NOT_SCHEDULED: EXIT.timeUp,
};

/** What a command gives: lines for people and scripts, and data for `--json`. */
export interface Output {
  readonly lines: readonly string[];
  /** May hold bigints; `stringifyJson` writes it. */
  readonly data: unknown;
}

/** Runs a command's work and prints what it gives; what it throws is printed, and sets the exit code. */
export async function runCommand(
  command: string,
  { json }: { readonly json: boolean },
  work: () => Promise<Output>,
): Promise<void> {
  try {
    const { lines, data } = await work();
    if (json) printEnvelope({ command, status: "ok", data, error: null });
    else if (lines.length > 0) process.stdout.write(`${lines.map(safeText).join("\n")}\n`);
  } catch (error) {
    process.exitCode = exitCodeOf(error);
    const code = isGevulotError(error) ? error.code : "UNEXPECTED";
    if (json)
      printEnvelope({ command, status: "error", data: null, error: { code, message: textOf(error) } });
    else process.stderr.write(errorText(error));
  }
}

export function printUsageError({ text, command }: UsageText, json: boolean): void {
  process.exitCode = EXIT.usage;
  if (json) {
    const name = command.split(" ").slice(1).join(" ");
    printEnvelope({ command: name, status: "error", data: null, error: { code: "USAGE", message: text } });
  } else process.stderr.write(`error: ${text}\nSee ${command} --help.\n`);
}

interface Envelope {
  readonly command: string;
  readonly status: "ok" | "error";
  readonly data: unknown;
  readonly error: { readonly code: string; readonly message: string } | null;
}

/** One line, the keys always there; the same form as gevulot-devnet's. */
function printEnvelope({ command, status, data, error }: Envelope): void {
  process.stdout.write(
    `${stringifyJson({ schemaVersion: 1, command, status, data, warnings: [], error })}\n`,
  );
}

function exitCodeOf(error: unknown): number {
  return (isGevulotError(error) && EXIT_OF_CODE[error.code]) || EXIT.failure;
}

function errorText(error: unknown): string {
  // Messages may quote what programs and strangers wrote.
  const text = `error: ${safeText(textOf(error))}\n`;
  if (!isGevulotError(error)) return text;
  return `${text}More: gevulot explain ${error.code}\n`;
}

/** One line; a stack only for what was not foreseen. */
function textOf(error: unknown): string {
  if (isGevulotError(error)) return error.message;
  if (error instanceof Error && "code" in error && "syscall" in error) {
    return `${error.message}. Check the path and its permissions.`;
  }
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
