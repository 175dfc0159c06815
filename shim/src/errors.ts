/** Stable reasons for which the shim itself fails a task. */
export type ShimErrorCode =
  /** There is no workspace, or no `task.json` in it. */
  | "NO_TASK"
  /** `task.json` is there, but is not what protocol section 9 says. */
  | "TASK_INVALID"
  /** The program asked for an input that the task does not have. */
  | "INPUT_UNKNOWN"
  /** A path that the program named lies outside the workspace. */
  | "PATH_OUTSIDE"
  /** The program ended without giving `task.result(…)`, or gave one of the wrong shape. */
  | "NO_RESULT"
  | "RESULT_FILE_OUTSIDE"
  | "RESULT_FILE_LINK"
  | "RESULT_FILE_MISSING"
  | "RESULT_FILE_NOT_REGULAR"
  | "RESULT_FILE_UNREADABLE"
  | "RESULT_FILE_TWICE"
  | "TOO_MANY_RESULT_FILES"
  /** A result is there already: it is written once. */
  | "RESULT_EXISTS"
  | "RESULT_NOT_WRITTEN"
  /** The node could not be reached over VSOCK when the result was there. */
  | "RESULT_NOT_SENT"
  /** `GEVULOT_TRANSPORT` says something that is no transport. */
  | "TRANSPORT_INVALID"
  /** `exec`: there is no such program, or it may not be run. */
  | "COMMAND_NOT_STARTED"
  /** `exec`: the program ended by a signal, or with another code than 0. */
  | "COMMAND_FAILED"
  /** `exec`: the program did not write the file that is to be the proof. */
  | "PROOF_MISSING"
  | "PROOF_TOO_LARGE";

/** What was wrong, then what to do about it; `code` is stable. */
export class GevulotShimError extends Error {
  override readonly name = "GevulotShimError";
  readonly code: ShimErrorCode;

  constructor(code: ShimErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

/** Error texts longer than this are cut: they end up in a database row and in people's terminals. */
const MAX_ERROR_TEXT_CHARS = 16 * 1024;
const MAX_CAUSES = 8;

/** The text for the result's `Err`: the message first, since the node shows its first lines; then stack and causes. */
export function errorText(error: unknown): string {
  const parts = [describe(error)];
  let cause = error instanceof Error ? error.cause : undefined;
  for (let depth = 0; cause !== undefined && depth < MAX_CAUSES; depth++) {
    parts.push(`caused by: ${describe(cause)}`);
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  const text = parts.join("\n");
  return text.length > MAX_ERROR_TEXT_CHARS ? `${text.slice(0, MAX_ERROR_TEXT_CHARS)}… (cut)` : text;
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return `thrown, but not an Error: ${safeString(error)}`;
  const message = error.message || error.name;
  const code = error instanceof GevulotShimError ? ` (${error.code})` : "";
  return `${message}${code}${frames(error)}`;
}

/** A stack repeats name and message above its frames; only the frames are wanted. */
function frames(error: Error): string {
  const stack = String(error.stack ?? "");
  const first = stack.search(/^\s+at /m);
  return first < 0 ? "" : `\n${stack.slice(first)}`;
}

function safeString(value: unknown): string {
  try {
    return typeof value === "object" ? (JSON.stringify(value) ?? String(value)) : String(value);
  } catch {
    return Object.prototype.toString.call(value);
  }
}
