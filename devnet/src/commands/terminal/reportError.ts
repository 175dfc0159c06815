import { isGevulotError } from "gevulot-sdk";
import { safeText } from "gevulot-sdk/node";

export const EXIT_FAILURE = 1;
export const EXIT_USAGE = 2;

/** One line what was wrong and what to do; a stack only for what we did not foresee. */
export function errorText(error: unknown): string {
  // Messages may quote what programs and strangers wrote.
  return safeText(textOf(error));
}

function textOf(error: unknown): string {
  if (isGevulotError(error)) return `error: ${error.message}`;
  if (error instanceof AggregateError) return error.errors.map(textOf).join("\n");
  if (error instanceof Error && "syscall" in error)
    return `error: ${systemErrorText(error as NodeJS.ErrnoException)}`;
  return `error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: "permission denied. Choose a place that you may write to.",
  EEXIST: "something of that name is there already. Choose another name.",
  EISDIR: "it is a folder. Give a file.",
  ENOENT: "it does not exist. Check the path.",
  ENOSPC: "the disk is full. Make room, or choose another place.",
  ENOTDIR: "a part of the path is no folder. Check the path.",
  EPERM: "it is not permitted. Choose a place that is yours.",
};

/** What the operating system refused, as a sentence. */
function systemErrorText(error: NodeJS.ErrnoException): string {
  const reason = REASONS[error.code ?? ""] ?? error.message;
  return error.path === undefined ? error.message : `Can't ${error.syscall} ${error.path}: ${reason}`;
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
