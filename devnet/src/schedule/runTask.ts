import { rm } from "node:fs/promises";
import type { TaskFailure } from "gevulot-sdk";
import type { Transaction, WorkflowStep } from "gevulot-sdk/protocol";
import { slowDisk } from "../faults/nodeFaults.ts";
import type { Intake } from "../intake/intake.ts";
import { removeTree } from "../removeTree.ts";
import { OutputFileProblem } from "../result/collectFiles.ts";
import { readConsoleTail } from "../result/readConsoleTail.ts";
import { storableText } from "../result/storableText.ts";
import type { Database } from "../store/database.ts";
import { readProgram, readProofs, readTransaction } from "../store/readTransactions.ts";
import { beginAttempt, endAttempt, endTask, requeueTask, type Task } from "../store/tasks.ts";
import { untilDatabaseIsBack } from "../store/untilDatabaseIsBack.ts";
import {
  type AttemptDeps,
  type AttemptEnd,
  type AttemptOptions,
  type AttemptResources,
  runAttempt,
} from "./attempt.ts";
import { InputMissing, prepareWorkspace } from "./prepareWorkspace.ts";
import { consolePathOf } from "./taskConsole.ts";
import { taskFailure } from "./taskFailure.ts";

export interface RunTaskDeps extends AttemptDeps {
  readonly intake: Intake;
}

export interface RunTaskSignals {
  /** The Run was cancelled: the task fails. */
  readonly cancel: AbortSignal;
  /** The node stops: the task goes back to the queue. */
  readonly stop: AbortSignal;
}

/**
 * One attempt at a task, from the claim to the stored Proof or Verification, or the stored failure. Never rejects
 * for what a program does.
 */
export async function runTask(
  deps: RunTaskDeps,
  options: AttemptOptions,
  task: Task,
  resources: AttemptResources,
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
  const claim = { provider: name, accelerator, imageChecksum: program.imageFileChecksum };
  const number = await database.transaction((client) => beginAttempt(client, task, claim));
  if (number === null) return;
  deps.onRunChanged?.(task.run);
  const id = `${task.id}-${number}`;
  const log = deps.log.child({ task: task.id, attempt: number, run: task.run, step: task.step });
  log.info({ program: program.name, provider: name, accelerator }, `${task.kind} task started`);

  const startedAt = performance.now();
  const consolePath = consolePathOf(options.logDirectory, task);
  const signal = AbortSignal.any([signals.cancel, signals.stop]);
  let end: AttemptEnd;
  try {
    // The console of an earlier attempt must not be taken for this one's.
    await rm(consolePath, { force: true });
    await slowDisk(deps.faults);
    const workspaceDir = await prepareWorkspace(layout, task, id, run, proofs);
    const step = run.payload.steps[task.step] as WorkflowStep;
    const attempt = { task, step, number, id, program, workspaceDir, consolePath, resources };
    end = await runAttempt(deps, options, attempt, signal);
  } catch (error) {
    end = { failure: unexpected(task, error, signals.cancel), transaction: null };
    if (end.failure.code === "NODE_ERROR") log.error({ err: error }, "a task broke");
  }
  if (end.failure) end = { ...end, failure: storable(end.failure) };
  const consoleTail = await readConsoleTail(consolePath);
  if (end.failure !== null && signals.stop.aborted) {
    log.info("the node stops; the task goes back to the queue");
    await giveBack(database, task, number, consoleTail);
    deps.metrics?.taskRequeued();
    return;
  }
  await untilDatabaseIsBack(log, signals.stop, () => storeEnd(deps, task, number, end, consoleTail));
  deps.metrics?.taskEnded(task.kind, end.failure ? "failure" : "success", performance.now() - startedAt);
  deps.onRunChanged?.(task.run);
  await removeTree(layout.attemptDir(id)).catch((error: Error) => {
    log.warn({ reason: error.message }, "the task's workspace was not removed");
  });
  if (end.failure)
    log.warn({ code: end.failure.code, reason: end.failure.message }, `${task.kind} task failed`);
  else log.info({ result: end.transaction.hash }, `${task.kind} task done`);
}

/** Its message may hold what the program said. */
function storable(failure: TaskFailure): TaskFailure {
  return { ...failure, message: storableText(failure.message) };
}

async function storeEnd(
  deps: RunTaskDeps,
  task: Task,
  number: number,
  end: AttemptEnd,
  consoleTail: string,
): Promise<void> {
  const result = end.transaction?.hash ?? null;
  const failure = end.failure && { ...end.failure, consoleTail };
  const write = { failure, consoleTail, result };
  if (end.failure !== null) {
    await deps.database.transaction((client) => endTask(client, task.id, number, write));
  } else {
    const alsoCommit = (client: Parameters<typeof endTask>[0]) => endTask(client, task.id, number, write);
    await deps.intake.accept(end.transaction, { alsoCommit });
  }
}

async function giveBack(database: Database, task: Task, number: number, consoleTail: string): Promise<void> {
  const lost = taskFailure(task, "LOST", "The node was stopped while the task ran.");
  await database.transaction(async (client) => {
    await endAttempt(client, task.id, number, lost, consoleTail);
    await requeueTask(client, task.id);
  });
}

function unexpected(task: Task, error: unknown, cancel: AbortSignal): TaskFailure {
  if (cancel.aborted) return taskFailure(task, "CANCELLED", "The task was cancelled.");
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof InputMissing) return taskFailure(task, "INPUT_MISSING", message);
  if (error instanceof OutputFileProblem) return taskFailure(task, "RESULT_INVALID", message);
  return taskFailure(task, "NODE_ERROR", message);
}
