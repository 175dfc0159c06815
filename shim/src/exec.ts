import { open } from "node:fs/promises";
import { type CommandEnd, runCommand } from "./command.ts";
import { GevulotShimError } from "./errors.ts";
import { run } from "./run.ts";
import type { Task, TaskResult } from "./task.ts";
import { VM_WORKSPACE } from "./workspace.ts";

/** A program that knows nothing of tasks, and what of it is the result. */
export interface ExecOptions {
  /** The program's file, or a name to be found in `PATH`. */
  readonly program: string;
  /** The first argument `{args}` stands for the task's arguments; without it they come last. */
  readonly args?: readonly string[];
  /** The file of the workspace that is the proof; without it the proof is what the program writes to its standard output. */
  readonly proofFile?: string | undefined;
  /** Files of the workspace to hand back: `proof.bin` or `/workspace/proof.bin`. */
  readonly outputs?: readonly string[];
}

export const ARGS_PLACE = "{args}";

/** The node reads a result of 64 MiB at most, and a byte takes up to four characters there. */
export const MAX_PROOF_BYTES = 15 * 1024 * 1024;

/**
 * Takes the task, runs a program as it is, hands back what it made, and ends the process, as {@link run} does. The task
 * fails if the program ends by a signal or with another code than 0; its last words on the standard error are the reason.
 *
 * An argument that is a path under `/workspace/` becomes the real one where the program runs as a host process. The program
 * finds the workspace's folder in `GEVULOT_WORKSPACE`; its standard input is empty.
 */
export function exec(options: ExecOptions): Promise<never> {
  return run((task) => execTask(task, options));
}

async function execTask(task: Task, options: ExecOptions): Promise<TaskResult> {
  const { program, proofFile, outputs = [] } = options;
  // Looked at before the work, and not after a long proof.
  const proofPath = proofFile === undefined ? null : task.path(proofFile);
  const end = await runCommand({
    program,
    args: commandArgs(options.args ?? [], task),
    env: { ...process.env, GEVULOT_WORKSPACE: task.workspace },
    maxStdoutBytes: proofPath === null ? MAX_PROOF_BYTES : null,
  });
  checkEnd(program, end);
  return task.result(proofPath === null ? end.stdout : await readProof(proofPath), outputs);
}

function commandArgs(args: readonly string[], task: Task): string[] {
  const at = args.indexOf(ARGS_PLACE);
  const all = at < 0 ? [...args, ...task.args] : [...args.slice(0, at), ...task.args, ...args.slice(at + 1)];
  return all.map((arg) => {
    if (arg === VM_WORKSPACE) return task.workspace;
    return arg.startsWith(`${VM_WORKSPACE}/`) ? task.path(arg) : arg;
  });
}

function checkEnd(program: string, end: CommandEnd): void {
  if (end.stdoutTooLong) throw proofTooLarge(`what ${program} wrote to its standard output`);
  if (end.exitCode === 0) return;
  const how = end.signal === null ? `ended with exit code ${end.exitCode}` : `was ended by ${end.signal}`;
  const lastWords = end.stderrTail.trim();
  throw new GevulotShimError("COMMAND_FAILED", `${program} ${how}${lastWords && `: ${lastWords}`}`);
}

async function readProof(path: string): Promise<Uint8Array> {
  const file = await open(path, "r").catch((cause: NodeJS.ErrnoException) => {
    const what = cause.code === "ENOENT" ? "did not write it" : `left it unreadable (${cause.code})`;
    throw new GevulotShimError("PROOF_MISSING", `there is no proof in ${path}: the program ${what}`, cause);
  });
  try {
    const stat = await file.stat();
    if (!stat.isFile())
      throw new GevulotShimError("PROOF_MISSING", `the proof ${path} is not a regular file`);
    if (stat.size > MAX_PROOF_BYTES) throw proofTooLarge(path);
    return await file.readFile();
  } finally {
    await file.close();
  }
}

function proofTooLarge(what: string): GevulotShimError {
  return new GevulotShimError(
    "PROOF_TOO_LARGE",
    `the proof, ${what}, has more than ${MAX_PROOF_BYTES} bytes: hand large data over as an output file`,
  );
}
