import { isUint8Array } from "node:util/types";
import { errorText, GevulotShimError } from "./errors.ts";
import { checkResultFiles } from "./resultFiles.ts";
import { createTask, type Task, type TaskResult } from "./task.ts";
import { readTaskFile, writeFailure, writeSuccess } from "./taskFiles.ts";
import { openWorkspace, type Workspace } from "./workspace.ts";

/** A prover's or verifier's work. What it throws becomes the reason why the task failed. */
export type Program = (task: Task) => TaskResult | Promise<TaskResult>;

/** How long a virtual machine's workspace may take to be mounted. */
const VM_WAIT_MS = 30_000;
const EXIT_OK = 0;
const EXIT_FAILED = 1;

/**
 * Takes the task, runs the program, hands back the result and ends the process: with code 0 after a result, with code 1
 * after a failure. Ends it also where the program left workers, sockets or timers behind.
 *
 * In a virtual machine the workspace is `/workspace`; in a host process it is the folder named by `GEVULOT_WORKSPACE`.
 * Protocol section 9.
 *
 * ```ts
 * import { readFile, writeFile } from "node:fs/promises";
 * import { run } from "gevulot-shim";
 *
 * await run(async (task) => {
 *   const text = await readFile(task.file("/workspace/in.txt"), "utf8");
 *   await writeFile(task.path("out.txt"), text.toUpperCase());
 *   return task.result(`${text.length} characters`, ["/workspace/out.txt"]);
 * });
 * ```
 */
export async function run(program: Program): Promise<never> {
  let workspace: Workspace | undefined;
  const fail = (error: unknown): never => endFailed(workspace, error);
  process.on("uncaughtException", fail);
  process.on("unhandledRejection", fail);
  process.on("beforeExit", () => fail(new GevulotShimError("NO_RESULT", NEVER_ENDED)));
  try {
    const folder = process.env.GEVULOT_WORKSPACE || undefined;
    workspace = openWorkspace({ folder });
    const request = await readTaskFile(workspace, folder === undefined ? VM_WAIT_MS : 0);
    const result = checkResult(await program(createTask(request, workspace)));
    const files = checkResultFiles(result.files, workspace);
    writeSuccess(workspace, { id: request.id, data: result.data, files });
  } catch (error) {
    return fail(error);
  }
  return process.exit(EXIT_OK);
}

const NEVER_ENDED =
  "the program's function never ended: it waits for something that can't come any more; look for a promise that nobody settles";

function checkResult(value: unknown): TaskResult {
  const { data, files } = (value ?? {}) as Partial<TaskResult>;
  const fits =
    isUint8Array(data) && Array.isArray(files) && files.every((file: unknown) => typeof file === "string");
  if (fits) return { data, files };
  throw new GevulotShimError(
    "NO_RESULT",
    "the program's function gave no result: return task.result(bytes or text, [files])",
  );
}

function endFailed(workspace: Workspace | undefined, error: unknown): never {
  const text = errorText(error);
  // The console has it too: that is what is left where the workspace can't be written.
  console.error(text);
  try {
    if (workspace !== undefined && !hasNoPlace(error)) writeFailure(workspace, text);
  } catch (another) {
    console.error(errorText(another));
  }
  return process.exit(EXIT_FAILED);
}

/** A folder without a task is perhaps none of ours, and a result that is there stays as it is. */
function hasNoPlace(error: unknown): boolean {
  return error instanceof GevulotShimError && (error.code === "NO_TASK" || error.code === "RESULT_EXISTS");
}
