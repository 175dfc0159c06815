import { GevulotError } from "gevulot-sdk";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    EXEC_OPTION: { readonly option: string; readonly value: string };
  }
}

/**
 * A program that knows nothing of tasks: the image's init gives it the task's arguments, and the host makes the result
 * of what it leaves. The same meaning as `gevulot-shim exec`.
 */
export interface ExecProgram {
  /** The file that is the proof, relative to the workspace; without it the proof is the standard output. */
  readonly proofFile?: string | undefined;
  /** Files to hand back, relative to the workspace; `*`, `?` and `**` stand for what they stand for in a shell. */
  readonly outputs: readonly string[];
}

/** An argument that stands for the task's arguments; without it they come last. */
export const ARGS_PLACE = "{args}";
/** In the workspace: what host and init leave for each other. */
export const EXEC_FOLDER = ".gevulot";
/** A shell's `set --`, with the program's arguments. */
export const ARGS_FILE = `${EXEC_FOLDER}/args`;
export const STDOUT_FILE = `${EXEC_FOLDER}/stdout`;
/** The end of what the program wrote to its standard error. */
export const STDERR_FILE = `${EXEC_FOLDER}/stderr`;
/** As the shim's: a node reads a result of 64 MiB at most, and a byte takes up to four characters there. */
export const MAX_PROOF_BYTES = 15 * 2 ** 20;
export const STDERR_TAIL_BYTES = 4096;

/**
 * Checks what an author wrote: `proof.bin` or `/workspace/proof.bin`.
 *
 * @throws GevulotError `EXEC_OPTION`
 */
export function readExecProgram(
  given: {
    readonly proofFile?: string | undefined;
    readonly outputs?: readonly string[] | undefined;
  },
  workspace: string,
): ExecProgram {
  const { proofFile, outputs = [] } = given;
  const inside = (option: string, value: string) => inWorkspace(option, value, `${workspace}/`);
  return {
    ...(proofFile === undefined ? {} : { proofFile: inside("proof file", proofFile) }),
    outputs: outputs.map((output) => inside("output file", output)),
  };
}

function inWorkspace(option: string, value: string, workspace: string): string {
  const path = value.startsWith(workspace) ? value.slice(workspace.length) : value;
  const isInside = path.split("/").every((part) => !["", ".", ".."].includes(part)) && !/[\0\n]/.test(path);
  if (isInside && path.split("/")[0] !== EXEC_FOLDER) return path;
  const message = `The ${option} "${value}" is no file of the workspace. Write it as proof.bin or ${workspace}proof.bin.`;
  throw new GevulotError("EXEC_OPTION", message, { context: { option, value } });
}

/** The task's arguments among the image's own. */
export function joinArgs(own: readonly string[], task: readonly string[]): string[] {
  const at = own.indexOf(ARGS_PLACE);
  return at < 0 ? [...own, ...task] : [...own.slice(0, at), ...task, ...own.slice(at + 1)];
}

/** What a shell reads as this very text. */
export function quoteForShell(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
