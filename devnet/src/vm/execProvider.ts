import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import {
  ARGS_FILE,
  EXEC_FOLDER,
  type ExecProgram,
  joinArgs,
  MAX_PROOF_BYTES,
  quoteForShell,
} from "../image/execProgram.ts";
import { readImage } from "../image/readImage.ts";
import { leaveExecResult } from "./execResult.ts";
import type { VmOutcome, VmProvider, VmTask } from "./provider.ts";

const TASK_FILE = "task.json";
const taskSchema = z.object({ id: z.string(), args: z.array(z.string()), files: z.array(z.string()) });

export type ExecTask = z.infer<typeof taskSchema>;

/**
 * Lets a provider run images of programs that know nothing of tasks: before, the task's arguments are left for the
 * image's init; after, what the program made becomes `task_result.json`, as if the program had written it.
 */
export function withExec(provider: VmProvider): VmProvider {
  return {
    ...provider,
    run: async (task, options) => {
      // What is wrong with an image, the provider says.
      const program = await readImage(task.imagePath).then(
        (info) => info.program,
        () => undefined,
      );
      if (program?.exec === undefined) return provider.run(task, options);
      const request = await readTask(task.workspaceDir);
      const args = joinArgs(program.args, request.args);
      await leaveArgs(task.workspaceDir, args);
      const keepStdoutBytes = program.exec.proofFile === undefined ? MAX_PROOF_BYTES : null;
      const outcome = await provider.run({ ...task, exec: { args, keepStdoutBytes } }, options);
      return await finish(task, program.path, program.exec, request, outcome);
    },
    [Symbol.asyncDispose]: () => provider[Symbol.asyncDispose](),
  };
}

async function finish(
  task: VmTask,
  program: string,
  exec: ExecProgram,
  request: ExecTask,
  outcome: VmOutcome,
): Promise<VmOutcome> {
  if (outcome.kind !== "exited" && outcome.kind !== "signalled") return outcome;
  const { workspaceDir } = task;
  const isFlood = await leaveExecResult({ workspaceDir, program, exec, request, outcome });
  // Whoever writes more than is kept is stopped, and that is not what went wrong.
  return isFlood ? { kind: "exited", exitCode: 1 } : outcome;
}

async function readTask(workspaceDir: string): Promise<ExecTask> {
  return taskSchema.parse(JSON.parse(await readFile(join(workspaceDir, TASK_FILE), "utf8")));
}

/** Read by the image's `.gevulot/run`. */
async function leaveArgs(workspaceDir: string, args: readonly string[]): Promise<void> {
  // An input file may have that name.
  await rm(join(workspaceDir, EXEC_FOLDER), { recursive: true, force: true });
  await mkdir(join(workspaceDir, EXEC_FOLDER));
  await writeFile(join(workspaceDir, ARGS_FILE), `set -- ${args.map(quoteForShell).join(" ")}\n`);
}
