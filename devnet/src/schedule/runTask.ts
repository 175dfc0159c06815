import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { TaskFailure } from "gevulot-sdk";
import type { ProgramMetadata, Transaction } from "gevulot-sdk/protocol";
import type { Logger } from "pino";
import type { FileLayout } from "../files/layout.ts";
import type { Intake } from "../intake/intake.ts";
import { collectFiles, OutputFileProblem } from "../result/collectFiles.ts";
import { createResultTransaction } from "../result/createResultTransaction.ts";
import { explainOutcome } from "../result/explainOutcome.ts";
import { readConsoleTail } from "../result/readConsoleTail.ts";
import { readResult } from "../result/readResult.ts";
import { type Database, isConnectionLoss } from "../store/database.ts";
import { readProgram, readProofs, readTransaction } from "../store/readTransactions.ts";
import {
  beginAttempt,
  endAttempt,
  endTask,
  markAttemptSpawned,
  markAttemptStage,
  requeueTask,
  type Task,
} from "../store/tasks.ts";
import type { VmEvent, VmProvider } from "../vm/provider.ts";
import { InputMissing, prepareWorkspace } from "./prepareWorkspace.ts";
import { lostFailure } from "./recover.ts";
import type { ResourceAmount } from "./resources.ts";

export interface RunTaskDeps {
  readonly log: Logger;
  readonly database: Database;
  readonly layout: FileLayout;
  readonly provider: VmProvider;
  readonly intake: Intake;
  readonly nodeSecretKey: Uint8Array;
  readonly fileBaseUrl: string;
}

export interface RunTaskOptions {
  readonly logDirectory: string;
  readonly taskDeadlineMs: number;
  readonly consoleLimitBytes: number;
  readonly maxOutputBytes: number;
}

export interface RunTaskSignals {
  /** The Run was cancelled: the task fails. */
  readonly cancel: AbortSignal;
  /** The node stops: the task goes back to the queue. */
  readonly stop: AbortSignal;
}

/** How long a finished task waits for a database that is away, before its result is given up. */
const DATABASE_PATIENCE_MS = 10 * 60_000;

/**
 * One attempt at a task, from the claim to the stored Proof or Verification, or the stored failure. Never rejects
 * for what a program does.
 */
export async function runTask(
  deps: RunTaskDeps,
  options: RunTaskOptions,
  task: Task,
  resources: ResourceAmount & { readonly gpuDevices: readonly string[] },
  signals: RunTaskSignals,
): Promise<void> {
  const { database, layout, provider } = deps;
  const [program, run, proofs] = await Promise.all([
    readProgram(database, task.program),
    readTransaction(database, task.run) as Promise<Transaction<"run"> | null>,
    readProofs(database, task.run),
  ]);
  if (!program || !run) throw new Error(`task ${task.id} has no Run or program`);
  const { name, accelerator } = provider;
  const attempt = { provider: name, accelerator, imageChecksum: program.imageFileChecksum };
  const number = await database.transaction((client) => beginAttempt(client, task, attempt));
  if (number === null) return;
  const attemptId = `${task.id}-${number}`;
  const log = deps.log.child({ task: task.id, attempt: number, run: task.run, step: task.step });
  log.info({ program: program.name, provider: name, accelerator }, `${task.kind} task started`);

  const consolePath = consolePathOf(options.logDirectory, task);
  let end: AttemptEnd;
  const signal = AbortSignal.any([signals.cancel, signals.stop]);
  try {
    const workspaceDir = await prepareWorkspace(layout, task, attemptId, run, proofs);
    end = await runInVm(
      deps,
      options,
      { task, number, attemptId, program, workspaceDir, consolePath },
      resources,
      signal,
    );
  } catch (error) {
    end = { failure: unexpected(task, error), transaction: null };
    if (!(error instanceof InputMissing || error instanceof OutputFileProblem))
      log.error({ err: error }, "task broke");
  }
  const consoleTail = await readConsoleTail(consolePath);
  if (end.failure?.code === "CANCELLED" && signals.stop.aborted) {
    log.info("the node stops; the task goes back to the queue");
    await giveBack(database, task, number, consoleTail);
    return;
  }
  await untilDatabaseIsBack(log, signals.stop, () => storeEnd(deps, task, number, end, consoleTail));
  await rm(layout.attemptDir(attemptId), { recursive: true, force: true });
  if (end.failure)
    log.warn({ code: end.failure.code, reason: end.failure.message }, `${task.kind} task failed`);
  else log.info({ result: end.transaction?.hash }, `${task.kind} task done`);
}

interface Attempt {
  readonly task: Task;
  readonly number: number;
  readonly attemptId: string;
  readonly program: ProgramMetadata;
  readonly workspaceDir: string;
  readonly consolePath: string;
}

type AttemptEnd =
  | { readonly failure: TaskFailure; readonly transaction: null }
  | { readonly failure: null; readonly transaction: Transaction<"proof"> | Transaction<"verification"> };

async function runInVm(
  deps: RunTaskDeps,
  options: RunTaskOptions,
  attempt: Attempt,
  resources: ResourceAmount & { readonly gpuDevices: readonly string[] },
  signal: AbortSignal,
): Promise<AttemptEnd> {
  const { task, attemptId, program, workspaceDir, consolePath } = attempt;
  await mkdir(join(consolePath, ".."), { recursive: true });
  const outcome = await deps.provider.run(
    {
      attemptId,
      imagePath: deps.layout.imagePath(program.hash, program.imageFileName),
      imageChecksum: program.imageFileChecksum,
      workspaceDir,
      memMib: resources.memMib,
      cpus: resources.cpus,
      gpuDevices: resources.gpuDevices,
      consolePath,
      consoleLimitBytes: options.consoleLimitBytes,
      deadlineMs: options.taskDeadlineMs,
    },
    { signal, onEvent: (event) => noteStage(deps, attempt, event) },
  );
  const result = await readResult(workspaceDir, task.id);
  const explained = explainOutcome(outcome, result, {
    step: task.step,
    deadlineMs: options.taskDeadlineMs,
    memMib: resources.memMib,
    consoleTail: await readConsoleTail(consolePath),
  });
  if ("code" in explained) return { failure: explained, transaction: null };
  const stagingDir = join(deps.layout.attemptDir(attemptId), "staging");
  const collected = await collectFiles(workspaceDir, explained.files, stagingDir, {
    maxBytes: options.maxOutputBytes,
  });
  return { failure: null, transaction: await createResultTransaction(deps, task, explained.data, collected) };
}

/** The status shows how far the VM is; that the database can't take it now must not end the task. */
function noteStage(deps: RunTaskDeps, { task, number }: Attempt, event: VmEvent): void {
  const noted =
    event.stage === "spawned"
      ? markAttemptSpawned(deps.database, task.id, number, event.pid)
      : markAttemptStage(deps.database, task.id, number, event.stage, new Date());
  noted.catch((error: Error) =>
    deps.log.warn({ task: task.id, reason: error.message }, "a stage was not noted"),
  );
}

async function storeEnd(
  deps: RunTaskDeps,
  task: Task,
  number: number,
  end: AttemptEnd,
  consoleTail: string,
): Promise<void> {
  const result = end.transaction?.hash ?? null;
  const write = { failure: end.failure, consoleTail, result };
  if (end.failure !== null) {
    await deps.database.transaction((client) => endTask(client, task.id, number, write));
  } else {
    await deps.intake.accept(end.transaction, {
      alsoCommit: (client) => endTask(client, task.id, number, write),
    });
  }
}

async function giveBack(database: Database, task: Task, number: number, consoleTail: string): Promise<void> {
  await database.transaction(async (client) => {
    await endAttempt(
      client,
      task.id,
      number,
      lostFailure(task, "The node was stopped while the task ran."),
      consoleTail,
    );
    await requeueTask(client, task.id);
  });
}

async function untilDatabaseIsBack(
  log: Logger,
  signal: AbortSignal,
  work: () => Promise<void>,
): Promise<void> {
  const giveUpAt = Date.now() + DATABASE_PATIENCE_MS;
  for (let waitMs = 100; ; waitMs = Math.min(waitMs * 2, 5_000)) {
    try {
      return await work();
    } catch (error) {
      if (!isConnectionLoss(error) || Date.now() > giveUpAt) throw error;
      log.warn("the database is away; the task's end is kept and stored when it is back");
      await delay(waitMs, undefined, { signal });
    }
  }
}

function unexpected(task: Task, error: unknown): TaskFailure {
  const code =
    error instanceof InputMissing
      ? "INPUT_MISSING"
      : error instanceof OutputFileProblem
        ? "RESULT_INVALID"
        : "NODE_ERROR";
  const message = error instanceof Error ? error.message : String(error);
  return { code, message, step: task.step, exitCode: null, signal: null, consoleTail: "" };
}

/** `<log dir>/<tx>/stdout.log`, where tx is what started the task: the Run, or the Proof that it checks. */
function consolePathOf(logDirectory: string, task: Task): string {
  const folder = join(logDirectory, task.proof ?? task.run);
  return join(folder, "stdout.log");
}
