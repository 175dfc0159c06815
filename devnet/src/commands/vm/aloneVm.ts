import { copyFile, mkdir, mkdtemp, open, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { dirname, extname, join } from "node:path";
import { GevulotError, type TaskFailure } from "gevulot-sdk";
import { checksumFile } from "gevulot-sdk/node";
import type { Logger } from "pino";
import { ownerMark, removeAbandonedFolders } from "../../abandonedFolders.ts";
import { createStack } from "../../disposeStack.ts";
import { workspaceRelative } from "../../files/layout.ts";
import { type BuildImageOptions, buildImage } from "../../image/buildImage.ts";
import { isElf } from "../../image/elf.ts";
import { readImageDefaults } from "../../image/imageDefaults.ts";
import type { VolumeMount } from "../../image/manifestMounts.ts";
import { SCRIPTS } from "../../image/readProgram.ts";
import type { RunConfig } from "../../image/runConfig.ts";
import { removeTree } from "../../removeTree.ts";
import { type CollectedFile, collectFiles, OutputFileProblem } from "../../result/collectFiles.ts";
import { explainOutcome } from "../../result/explainOutcome.ts";
import { firstDeadline } from "../../result/firstDeadline.ts";
import { readConsoleTail } from "../../result/readConsoleTail.ts";
import type { ProgramResult } from "../../result/readResult.ts";
import { compareChecksums, takeResult } from "../../result/takeResult.ts";
import { createVmProvider } from "../../vm/createVmProvider.ts";
import type { VmEvent, VmOutcome } from "../../vm/provider.ts";
import type { VsockOptions } from "../../vm/vsock/createVsockHost.ts";
import { createTaskExchange } from "../../vm/vsock/taskExchange.ts";
import type { VsockKind } from "../../vm/vsock/vsockHost.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    ALONE_GPUS: { readonly wanted: number; readonly given: number };
  }
}

export interface AloneTask {
  readonly id: string;
  readonly args: readonly string[];
  readonly files: readonly string[];
}

/** What all that runs one program without a node has to know. */
export interface AloneOptions {
  /** An image, or a program to make one of. */
  readonly program: string;
  readonly provider: "auto" | "qemu" | "process";
  readonly qemuPath: string;
  readonly vsock?: VsockOptions;
  /** Default: what the image asks for, or 512. */
  readonly memMib?: number | undefined;
  /** Default: what the image asks for, or 1. */
  readonly cpus?: number | undefined;
  /** PCI addresses; as many as the image asks for, at least. */
  readonly gpuDevices?: readonly string[];
  readonly volumesDir?: string | undefined;
  readonly deadlineMs: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (message: string) => void;
}

export interface AloneVmOptions extends AloneOptions {
  /** How, where it is a program. */
  readonly build?: Omit<BuildImageOptions, "program" | "outputPath">;
  readonly task: AloneTask;
  /** Puts the input files into the workspace. */
  readonly fill: (workspace: string) => Promise<void>;
  readonly idleLimitMs?: number | undefined;
  /** Besides those of the image. */
  readonly volumes?: readonly VolumeMount[];
  /** Comes before what the image was built with. */
  readonly runConfig?: RunConfig | undefined;
  readonly trace?: boolean;
  readonly onConsole?: (chunk: Uint8Array) => void;
}

export interface AloneFacts {
  readonly provider: string;
  readonly accelerator: string;
  /** How the program could get its task besides by files. */
  readonly vsock: VsockKind;
  readonly tookMs: number;
}

/** A VM that has ended; what it left is there until this is disposed of. */
export interface AloneVm extends AsyncDisposable {
  readonly facts: AloneFacts;
  readonly outcome: VmOutcome;
  readonly consoleTail: string;
  readonly workspace: string;
  /** As a node takes it: the result with its files copied out and checked, or why there is none. */
  readonly result:
    | { readonly data: Uint8Array; readonly files: readonly CollectedFile[] }
    | {
        readonly failure: TaskFailure;
        /** The program ended well and left no result; one that knows nothing of tasks has none to leave. */
        readonly isMissing: boolean;
      };
}

export const RESULT_FILE = "task_result.json";
const LIMITS = { consoleLimitBytes: 2 ** 20, maxOutputBytes: 64 * 2 ** 30, maxOutputFiles: 1_000_000 };
const ATTEMPT_ID = "alone";
const DEFAULT_MEM_MIB = 512;
const ELF_HEAD_BYTES = 16;
const FOLDER = "gevulot-task-";

/**
 * Runs one task in a VM of its own, without a node.
 *
 * @throws GevulotError `ALONE_GPUS`, those of `buildImage`, `readImage` and `createVmProvider`
 */
export async function runAloneVm(deps: { readonly log: Logger }, options: AloneVmOptions): Promise<AloneVm> {
  const { task, signal, onProgress, onConsole, gpuDevices = [] } = options;
  await using stack = createStack();
  // Of commands that were killed.
  await removeAbandonedFolders(tmpdir(), FOLDER);
  const folder = await mkdtemp(join(tmpdir(), `${FOLDER}${ownerMark()}-`));
  stack.defer(() => removeTree(folder));
  const imagePath = await imageOf(options, folder);
  const built = await readImageDefaults(imagePath);
  const resources = { ...built.resources, ...options.runConfig?.resources };
  const programSeconds = options.runConfig?.deadlineSeconds ?? built.deadlineSeconds;
  if (options.provider !== "process") requireGpus(resources.gpus ?? 0, gpuDevices);
  const deadline = firstDeadline({ nodeMs: options.deadlineMs, programSeconds, runLeftMs: null });
  const memMib = options.memMib ?? resources.memMib ?? DEFAULT_MEM_MIB;
  await using provider = await createVmProvider(deps, {
    ...options,
    cacheDir: join(folder, "cache"),
    volumeWaitMs: 0,
    ownPrograms: true,
  });
  const workspace = join(folder, "workspace");
  await options.fill(workspace);
  await writeFile(join(workspace, "task.json"), JSON.stringify(task));
  const consolePath = join(folder, "console");
  const imageChecksum = await checksumFile(imagePath);
  const { id, args, files } = task;
  const exchange = createTaskExchange({ txHash: id, name: ATTEMPT_ID, args: [...args], files: [...files] });
  const startedMs = performance.now();
  const outcome = await provider.run(
    {
      attemptId: ATTEMPT_ID,
      imagePath,
      imageChecksum,
      exchange,
      workspaceDir: workspace,
      memMib,
      cpus: options.cpus ?? resources.cpus ?? 1,
      gpuDevices,
      consolePath,
      deadlineMs: deadline.ms,
      idleLimitMs: options.idleLimitMs,
      ...LIMITS,
      volumes: options.volumes ?? [],
      trace: options.trace ?? false,
    },
    {
      ...(signal ? { signal } : {}),
      ...(onConsole ? { onConsole } : {}),
      onEvent: (event) => onProgress?.(STAGES[event.stage]),
    },
  );
  const { name, accelerator, vsock } = provider;
  const tookMs = Math.round(performance.now() - startedMs);
  const taken = await takeResult(exchange, workspace, task.id);
  const explained = explainOutcome(outcome, taken, { step: 0, deadline, memMib });
  const result =
    "code" in explained
      ? { failure: explained, isMissing: taken.kind === "missing" && explained.code === "RESULT_INVALID" }
      : await take(workspace, explained, join(folder, "staging"));
  const consoleTail = await readConsoleTail(consolePath);
  const left = stack.move();
  return {
    facts: { provider: name, accelerator, vsock: vsock.kind, tookMs },
    outcome,
    consoleTail,
    workspace,
    result,
    [Symbol.asyncDispose]: () => left[Symbol.asyncDispose](),
  };
}

/** A program that asks for GPUs would look for them in vain. */
function requireGpus(wanted: number, gpuDevices: readonly string[]): void {
  if (gpuDevices.length >= wanted) return;
  const message = `The image asks for ${wanted} GPUs (RunConfig), and ${gpuDevices.length} are given. Name them: --gpu-devices 0000:01:00.0 (gevulot-devnet doctor shows which there are).`;
  throw new GevulotError("ALONE_GPUS", message, { context: { wanted, given: gpuDevices.length } });
}

const STAGES: Readonly<Record<VmEvent["stage"], string>> = {
  spawned: "starting",
  booted: "booted",
  program: "the program runs",
  leaving: "the program has ended",
};

/** Whether an image is to be made of it first. */
export async function isProgram(path: string): Promise<boolean> {
  return SCRIPTS.includes(extname(path)) || (await startsAsElf(path));
}

async function imageOf(options: AloneVmOptions, folder: string): Promise<string> {
  const { program, signal, onProgress } = options;
  if (!(await isProgram(program))) return program;
  const image = await buildImage({
    ...options.build,
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
    const { buffer, bytesRead } = await file.read(Buffer.alloc(ELF_HEAD_BYTES), 0, ELF_HEAD_BYTES, 0);
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
): Promise<AloneVm["result"]> {
  try {
    const files = await collectFiles(workspace, result.files, stagingDir, {
      maxBytes: LIMITS.maxOutputBytes,
    });
    compareChecksums(files, result.checksums);
    return { data: result.data, files };
  } catch (error) {
    if (!(error instanceof OutputFileProblem)) throw error;
    const none = { step: 0, exitCode: null, signal: null, consoleTail: "" };
    return { failure: { code: "RESULT_INVALID", message: error.message, ...none }, isMissing: false };
  }
}

/** Writes what a task came to as a program does (protocol section 9), with its output files, into a user's folder. */
export async function writeResult(folder: string, id: string, result: AloneVm["result"]): Promise<void> {
  await mkdir(folder, { recursive: true });
  if ("failure" in result) {
    await writeFile(join(folder, RESULT_FILE), JSON.stringify({ Err: result.failure.message }));
    return;
  }
  for (const { path, vmPath } of result.files) {
    const target = join(folder, workspaceRelative(vmPath));
    await mkdir(dirname(target), { recursive: true });
    await copyFile(path, target);
  }
  const files = result.files.map(({ vmPath }) => vmPath);
  await writeFile(join(folder, RESULT_FILE), JSON.stringify({ Ok: { id, data: [...result.data], files } }));
}
