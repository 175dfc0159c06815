import { copyFile, cp, mkdir, mkdtemp, open, readFile, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { dirname, extname, join } from "node:path";
import { GevulotError, type TaskFailure } from "gevulot-sdk";
import { checksumFile } from "gevulot-sdk/node";
import type { Logger } from "pino";
import { z } from "zod";
import { createStack } from "../disposeStack.ts";
import { workspaceRelative } from "../files/layout.ts";
import { buildImage } from "../image/buildImage.ts";
import { isElf } from "../image/elf.ts";
import { SCRIPTS } from "../image/readProgram.ts";
import { removeTree } from "../removeTree.ts";
import { type CollectedFile, collectFiles, OutputFileProblem } from "../result/collectFiles.ts";
import { explainOutcome } from "../result/explainOutcome.ts";
import { readConsoleTail } from "../result/readConsoleTail.ts";
import type { ProgramResult } from "../result/readResult.ts";
import { compareChecksums, takeResult } from "../result/takeResult.ts";
import { createVmProvider } from "../vm/createVmProvider.ts";
import type { VmEvent } from "../vm/provider.ts";
import type { VsockOptions } from "../vm/vsock/createVsockHost.ts";
import { createTaskExchange } from "../vm/vsock/taskExchange.ts";
import type { VsockKind } from "../vm/vsock/vsockHost.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    TASK_FILE_INVALID: { readonly path: string; readonly reason: string };
  }
}

export interface RunAloneOptions {
  /** An image, or a program to make one of. */
  readonly program: string;
  /** Protocol section 9; default `task.json` of the workspace. */
  readonly taskPath?: string | undefined;
  /** Holds the input files; gets `task_result.json` and the output files. */
  readonly workspaceDir: string;
  readonly provider: "auto" | "qemu" | "process";
  readonly qemuPath: string;
  readonly vsock?: VsockOptions;
  readonly memMib: number;
  readonly cpus: number;
  readonly deadlineMs: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (message: string) => void;
}

export interface AloneResult {
  readonly provider: string;
  readonly accelerator: string;
  /** How the program could get its task besides by files. */
  readonly vsock: VsockKind;
  readonly tookMs: number;
  readonly consoleTail: string;
  /** Null where the program gave a result. */
  readonly failure: TaskFailure | null;
  readonly dataBytes: number;
  readonly files: readonly { readonly vmPath: string; readonly checksum: string }[];
}

const RESULT_FILE = "task_result.json";
const CONSOLE_LIMIT_BYTES = 1024 * 1024;
const MAX_OUTPUT_BYTES = 64 * 2 ** 30;
const ATTEMPT_ID = "alone";
const taskSchema = z.object({ id: z.string(), args: z.array(z.string()), files: z.array(z.string()) });

/**
 * Runs one task without a node: the program gets a copy of the workspace, and what it hands back is checked as a node
 * does it and put into the workspace. The result of an earlier run is replaced.
 *
 * @throws GevulotError `TASK_FILE_INVALID`, and those of `buildImage` and `createVmProvider`
 */
export async function runAlone(
  deps: { readonly log: Logger },
  options: RunAloneOptions,
): Promise<AloneResult> {
  const { workspaceDir, signal, onProgress } = options;
  const task = await readTask(options.taskPath ?? join(workspaceDir, "task.json"));
  await mkdir(workspaceDir, { recursive: true });
  await using stack = createStack();
  const folder = await mkdtemp(join(tmpdir(), "gevulot-task-"));
  stack.defer(() => removeTree(folder));
  const imagePath = await imageOf(options, folder);
  const provider = stack.use(await createVmProvider(deps, { ...options, cacheDir: join(folder, "cache") }));
  const workspace = join(folder, "workspace");
  // A link would lead nowhere in the VM.
  await cp(workspaceDir, workspace, { recursive: true, dereference: true });
  await removeTree(join(workspace, RESULT_FILE));
  await writeFile(join(workspace, "task.json"), JSON.stringify(task));
  const consolePath = join(folder, "console");
  const { memMib, cpus, deadlineMs } = options;
  const imageChecksum = await checksumFile(imagePath);
  const resources = { memMib, cpus, gpuDevices: [], deadlineMs, consolePath };
  const startedMs = performance.now();
  const exchange = createTaskExchange({ ...task, txHash: task.id, name: ATTEMPT_ID });
  const outcome = await provider.run(
    {
      attemptId: ATTEMPT_ID,
      imagePath,
      imageChecksum,
      exchange,
      workspaceDir: workspace,
      ...resources,
      consoleLimitBytes: CONSOLE_LIMIT_BYTES,
    },
    { ...(signal ? { signal } : {}), onEvent: (event) => onProgress?.(STAGES[event.stage]) },
  );
  const facts = {
    provider: provider.name,
    accelerator: provider.accelerator,
    vsock: provider.vsock.kind,
    tookMs: Math.round(performance.now() - startedMs),
  };
  const consoleTail = await readConsoleTail(consolePath);
  const explained = explainOutcome(outcome, await takeResult(exchange, workspace, task.id), {
    step: 0,
    deadlineMs,
    memMib,
  });
  const taken = "code" in explained ? explained : await take(workspace, explained, join(folder, "staging"));
  if ("code" in taken) {
    await writeFile(join(workspaceDir, RESULT_FILE), JSON.stringify({ Err: taken.message }));
    return { ...facts, consoleTail, failure: taken, dataBytes: 0, files: [] };
  }
  for (const { path, vmPath } of taken.files) {
    const target = join(workspaceDir, workspaceRelative(vmPath));
    await mkdir(dirname(target), { recursive: true });
    await copyFile(path, target);
  }
  const files = taken.files.map(({ vmPath, checksum }) => ({ vmPath, checksum }));
  const wire = { id: task.id, data: [...taken.data], files: files.map(({ vmPath }) => vmPath) };
  await writeFile(join(workspaceDir, RESULT_FILE), JSON.stringify({ Ok: wire }));
  return { ...facts, consoleTail, failure: null, dataBytes: taken.data.length, files };
}

const STAGES: Readonly<Record<VmEvent["stage"], string>> = {
  spawned: "starting",
  booted: "booted",
  program: "the program runs",
};

async function readTask(path: string): Promise<z.infer<typeof taskSchema>> {
  try {
    return taskSchema.parse(JSON.parse(await readFile(path, "utf8")));
  } catch (cause) {
    const issue = cause instanceof z.ZodError ? cause.issues[0] : undefined;
    const reason = issue ? `${issue.path.join(".")}: ${issue.message}` : (cause as Error).message;
    throw new GevulotError(
      "TASK_FILE_INVALID",
      `The task ${path} can't be used (${reason}). Write {"id": "…", "args": ["…"], "files": ["/workspace/…"]}.`,
      { context: { path, reason }, cause },
    );
  }
}

/** A program is made into an image first. */
async function imageOf(options: RunAloneOptions, folder: string): Promise<string> {
  const { program, signal, onProgress } = options;
  if (!SCRIPTS.includes(extname(program)) && !(await startsAsElf(program))) return program;
  const image = await buildImage({
    program,
    outputPath: join(folder, "program.img"),
    cacheDir: join(homedir(), ".cache", "gevulot"),
    ...(signal ? { signal } : {}),
    ...(onProgress ? { onProgress } : {}),
  });
  return image.path;
}

async function startsAsElf(path: string): Promise<boolean> {
  const file = await open(path, "r").catch(() => null);
  if (file === null) return false;
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 0);
    return isElf(buffer.subarray(0, bytesRead));
  } catch {
    // A folder; what reads images says so.
    return false;
  } finally {
    await file.close();
  }
}

async function take(
  workspace: string,
  result: Extract<ProgramResult, { kind: "ok" }>,
  stagingDir: string,
): Promise<{ readonly data: Uint8Array; readonly files: readonly CollectedFile[] } | TaskFailure> {
  try {
    const files = await collectFiles(workspace, result.files, stagingDir, { maxBytes: MAX_OUTPUT_BYTES });
    compareChecksums(files, result.checksums);
    return { data: result.data, files };
  } catch (error) {
    if (!(error instanceof OutputFileProblem)) throw error;
    const none = { step: 0, exitCode: null, signal: null, consoleTail: "" };
    return { code: "RESULT_INVALID", message: error.message, ...none };
  }
}
