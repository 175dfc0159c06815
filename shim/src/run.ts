import { isUint8Array } from "node:util/types";
import { chooseTransport, parseTransport } from "./chooseTransport.ts";
import { errorText, GevulotShimError } from "./errors.ts";
import { createFileTransport } from "./fileTransport.ts";
import { checkResultFiles } from "./resultFiles.ts";
import { createTask, type Task, type TaskRequest, type TaskResult } from "./task.ts";
import type { Transport } from "./transport.ts";
import { openWorkspace } from "./workspace.ts";

/** A prover's or verifier's work. What it throws becomes the reason why the task failed. */
export type Program = (task: Task) => TaskResult | Promise<TaskResult>;

/** What is known so far; where to say what went wrong follows from it. */
interface Progress {
  transport: Transport | null;
  request: TaskRequest | null;
  isEnding: boolean;
}

const EXIT_OK = 0;
const EXIT_FAILED = 1;

/**
 * Takes the task, runs the program, hands back the result and ends the process: with code 0 after a result, with code 1
 * after a failure. Ends it also where the program left workers, sockets or timers behind.
 *
 * In a virtual machine the workspace is `/workspace`; in a host process it is the folder named by `GEVULOT_WORKSPACE`.
 * Task and result travel over VSOCK where the node answers there (protocol section 8), else as files of the workspace
 * (section 9); `GEVULOT_TRANSPORT` (`vsock`, `files`) insists on one.
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
  const progress: Progress = { transport: null, request: null, isEnding: false };
  const fail = (error: unknown): void => void endFailed(progress, error);
  process.on("uncaughtException", fail);
  process.on("unhandledRejection", fail);
  process.on("beforeExit", () => fail(new GevulotShimError("NO_RESULT", NEVER_ENDED)));
  try {
    const folder = process.env.GEVULOT_WORKSPACE || undefined;
    const workspace = openWorkspace({ folder });
    // Until the transport is found: a file can be left by whom nobody answers.
    progress.transport = createFileTransport(workspace, { waitMs: 0 });
    const wanted = parseTransport(process.env.GEVULOT_TRANSPORT);
    const transport = await chooseTransport(workspace, wanted, { inHostProcess: folder !== undefined });
    progress.transport = transport;
    for (let goOn = true; goOn; ) {
      const request = await transport.nextTask();
      progress.request = request;
      const result = checkResult(await program(createTask(request, workspace)));
      const files = checkResultFiles(result.files, workspace);
      goOn = await transport.succeed(request, { data: result.data, files });
      progress.request = null;
    }
  } catch (error) {
    return endFailed(progress, error);
  }
  return leave(EXIT_OK);
}

/** `process.exit` drops what a pipe has not taken yet: the last words of a program that wrote a lot. */
async function leave(exitCode: number): Promise<never> {
  const flushed = [process.stdout, process.stderr].map(
    (stream) =>
      new Promise<void>((resolve) => {
        stream.once("error", () => resolve());
        stream.write("", () => resolve());
      }),
  );
  // Who reads it may have stopped.
  const late = new Promise<void>((resolve) => setTimeout(resolve, FLUSH_LIMIT_MS));
  await Promise.race([Promise.all(flushed), late]);
  return process.exit(exitCode);
}

const FLUSH_LIMIT_MS = 5_000;
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

async function endFailed(progress: Progress, error: unknown): Promise<never> {
  // One reason is told, the first: what fails while it is sent comes of it.
  if (progress.isEnding) return new Promise(() => {});
  progress.isEnding = true;
  const { transport, request } = progress;
  const text = errorText(error);
  // The console has it too: that is what is left where the workspace can't be written.
  console.error(text);
  try {
    if (transport !== null && !hasNoPlace(error)) await transport.fail(request, text);
  } catch (another) {
    console.error(errorText(another));
  }
  return leave(EXIT_FAILED);
}

/** A folder without a task is perhaps none of ours, and a result that is there stays as it is. */
function hasNoPlace(error: unknown): boolean {
  return error instanceof GevulotShimError && (error.code === "NO_TASK" || error.code === "RESULT_EXISTS");
}
