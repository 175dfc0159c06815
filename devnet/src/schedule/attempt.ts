import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { TaskFailure } from "gevulot-sdk";
import type { ProgramMetadata, Transaction, WorkflowStep } from "gevulot-sdk/protocol";
import type { Logger } from "pino";
import { alterResult } from "../faults/alterResult.ts";
import { type NodeFaults, slowDisk } from "../faults/nodeFaults.ts";
import type { FileLayout } from "../files/layout.ts";
import { deployedVolumes } from "../image/deployedVolumes.ts";
import type { Metrics } from "../observe/metrics.ts";
import { collectFiles } from "../result/collectFiles.ts";
import { createResultTransaction } from "../result/createResultTransaction.ts";
import { explainOutcome } from "../result/explainOutcome.ts";
import { compareChecksums, takeResult } from "../result/takeResult.ts";
import type { Database } from "../store/database.ts";
import {
  type AttemptStage,
  type AttemptUsage,
  markAttemptSpawned,
  markAttemptStage,
  setAttemptUsage,
  type Task,
} from "../store/tasks.ts";
import type { VmEvent, VmProvider } from "../vm/provider.ts";
import { timeLeft } from "../vm/supervisor.ts";
import { createTaskExchange } from "../vm/vsock/taskExchange.ts";
import type { ResourceAmount } from "./resources.ts";
import { runTooLate, taskDeadline } from "./taskDeadline.ts";

export interface AttemptDeps {
  readonly log: Logger;
  readonly database: Database;
  readonly layout: FileLayout;
  readonly provider: VmProvider;
  readonly nodeSecretKey: Uint8Array;
  readonly fileBaseUrl: string;
  /** Something about this Run's tasks was stored. */
  readonly onRunChanged?: (run: string) => void;
  readonly metrics?: Pick<Metrics, "taskEnded" | "taskRequeued">;
  /** What is to go wrong here, for tests of users. */
  readonly faults?: NodeFaults | undefined;
}

export interface AttemptOptions {
  readonly logDirectory: string;
  readonly taskDeadlineMs: number;
  readonly consoleLimitBytes: number;
  readonly maxOutputBytes: number;
  readonly maxOutputFiles?: number;
  /** A program that does nothing for so long is ended. Default: never. */
  readonly taskIdleMs?: number | undefined;
}

export interface AttemptResources extends ResourceAmount {
  readonly gpuDevices: readonly string[];
}

/** One try at a task, ready to run. */
export interface Attempt {
  readonly task: Task;
  readonly step: WorkflowStep;
  readonly number: number;
  /** Names its folder and its VM. */
  readonly id: string;
  readonly program: ProgramMetadata;
  readonly workspaceDir: string;
  readonly consolePath: string;
  readonly resources: AttemptResources;
}

export type AttemptEnd =
  | { readonly failure: TaskFailure; readonly transaction: null }
  | { readonly failure: null; readonly transaction: Transaction<"proof"> | Transaction<"verification"> };

/** Runs the program in a VM and turns what it left into a signed result, or into the reason why there is none. */
export async function runAttempt(
  deps: AttemptDeps,
  options: AttemptOptions,
  attempt: Attempt,
  signal: AbortSignal,
): Promise<AttemptEnd> {
  const { task, program, workspaceDir, consolePath, resources } = attempt;
  await mkdir(dirname(consolePath), { recursive: true });
  const exchange = createTaskExchange(
    {
      txHash: task.proof ?? task.run,
      name: `${task.id}-${program.hash}`,
      args: attempt.step.args,
      files: attempt.step.inputs.map((input) => input.fileName),
    },
    (step) => noteStage(deps, attempt, { stage: step }),
    () => deps.faults?.settings.dropVsock ?? false,
  );
  const imagePath = deps.layout.imagePath(program.hash, program.imageFileName);
  const deadline = await taskDeadline(deps.database, {
    run: task.run,
    imagePath,
    nodeMs: options.taskDeadlineMs,
  });
  if (deadline.ms === 0) return { failure: { ...runTooLate(), step: task.step }, transaction: null };
  const used: Pick<AttemptUsage, "peakMemBytes"> = { peakMemBytes: null };
  const onPeakMemory = (peakMemBytes: number) => void Object.assign(used, { peakMemBytes });
  const outcome = await deps.provider.run(
    {
      attemptId: attempt.id,
      imagePath,
      imageChecksum: program.imageFileChecksum,
      volumes: deployedVolumes(program.imageFileUrl).volumes,
      exchange,
      workspaceDir,
      memMib: resources.memMib,
      cpus: resources.cpus,
      gpuDevices: resources.gpuDevices,
      consolePath,
      consoleLimitBytes: options.consoleLimitBytes,
      ...{ deadlineMs: deadline.ms, runEndsAtMs: deadline.runEndsAtMs },
      idleLimitMs: options.taskIdleMs,
      maxOutputBytes: options.maxOutputBytes,
      ...(options.maxOutputFiles === undefined ? {} : { maxOutputFiles: options.maxOutputFiles }),
    },
    { signal, onPeakMemory, onEvent: (event) => noteStage(deps, attempt, event) },
  );
  noteStage(deps, attempt, { stage: "gone" });
  const found = explainOutcome(outcome, await takeResult(exchange, workspaceDir, task.id), {
    step: task.step,
    deadline: timeLeft(deadline.runEndsAtMs) === 0 ? { ...deadline, setBy: "run" } : deadline,
    memMib: resources.memMib,
  });
  const explained = await alterResult(deps.faults?.settings ?? {}, task, found, workspaceDir);
  if ("code" in explained) {
    await noteUsage(deps, attempt, { ...used, outputBytes: null });
    return { failure: explained, transaction: null };
  }
  await slowDisk(deps.faults);
  const stagingDir = join(deps.layout.attemptDir(attempt.id), "staging");
  const limits = { maxBytes: options.maxOutputBytes, signal };
  const collected = await collectFiles(workspaceDir, explained.files, stagingDir, limits);
  compareChecksums(collected, explained.checksums);
  const outputBytes = collected.reduce((sum, { bytes }) => sum + bytes, explained.data.length);
  await noteUsage(deps, attempt, { ...used, outputBytes });
  return {
    failure: null,
    transaction: await createResultTransaction(deps, task, explained.data, collected),
  };
}

async function noteUsage(deps: AttemptDeps, { task, number }: Attempt, usage: AttemptUsage): Promise<void> {
  await setAttemptUsage(deps.database, task.id, number, usage).catch((error: Error) =>
    deps.log.warn({ task: task.id, reason: error.message }, "what the task used was not noted"),
  );
}

const TOLD: ReadonlySet<string> = new Set<VmEvent["stage"]>(["spawned", "booted", "program"]);

/** The status shows how far the VM is; that the database can't take it now must not end the task. */
function noteStage(
  deps: AttemptDeps,
  { task, number }: Attempt,
  event: VmEvent | { readonly stage: AttemptStage },
): void {
  const { database } = deps;
  const at = new Date();
  const noted =
    "pid" in event
      ? markAttemptSpawned(database, task.id, number, event, at)
      : markAttemptStage(database, task.id, number, event.stage as AttemptStage, at);
  noted.then(
    // The others are only traced.
    () => TOLD.has(event.stage) && deps.onRunChanged?.(task.run),
    (error: Error) => deps.log.warn({ task: task.id, reason: error.message }, "a stage was not noted"),
  );
}
