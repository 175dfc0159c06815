import type { Queryable } from "../../store/database.ts";
import type { TaskKind } from "../plan/planTasks.ts";
import type { TaskQueue } from "../schedule/taskQueue.ts";
import { finishRun, type PipelineRun, type RunEnd } from "../store/runs.ts";
import {
  closeTasks,
  discardOutput,
  failTask,
  type PipelineTask,
  putTaskBack,
  readOpenTasks,
  type TaskSetback,
} from "../store/tasks.ts";
import { countSetback, failureOf, failureText, nameOf } from "./runFailure.ts";

export interface SetbackOptions {
  readonly maxFailures: number;
  readonly maxLosses: number;
  /** A task to which nodes answer nothing but BUSY for so long fails. */
  readonly busyLimitMs: (kind: TaskKind) => number;
}

const FIRST_BACKOFF_MS = 1_000;
const LONGEST_BACKOFF_MS = 60_000;
/** Of what is not the task's fault. */
const SOON_MS = 1_000;

/** A task did not succeed: it starts again after a while, or fails and its run with it. */
export async function setBack(
  client: Queryable,
  queue: TaskQueue,
  run: PipelineRun,
  task: PipelineTask,
  setback: TaskSetback,
  options: SetbackOptions,
): Promise<void> {
  const after = countSetback(task, setback);
  const busyMs = setback.outcome === "busy" && task.busySince ? Date.now() - task.busySince.getTime() : 0;
  const isBusyTooLong = busyMs > options.busyLimitMs(task.kind);
  if (isBusyTooLong || after.failures >= options.maxFailures || after.losses >= options.maxLosses) {
    if (!(await failTask(client, task, setback))) return;
    await queue.drop(client, [task]);
    const howLong = isBusyTooLong ? ` (nothing but BUSY for ${Math.round(busyMs / 1_000)} s)` : "";
    const error = failureText(task, setback) + howLong;
    return endRun(client, queue, run, { ...failureOf(task.kind, run.shape), error });
  }
  const isFailure = after.failures > task.failures;
  const delayMs = isFailure ? Math.min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** task.failures) : SOON_MS;
  if (!(await putTaskBack(client, task, setback, delayMs))) return;
  await queue.giveBack(client, [{ id: task.id, kind: task.kind, priority: run.priority }], delayMs);
}

/** `task` failed because of the output of `culprit`, which is not valid: the run fails. */
export async function blame(
  client: Queryable,
  queue: TaskQueue,
  run: PipelineRun,
  task: PipelineTask,
  culprit: PipelineTask,
  reason: string,
): Promise<void> {
  const error = `${nameOf(culprit)} by node ${culprit.node} is not valid: ${reason}`;
  if (!(await failTask(client, task, { outcome: "failed", error, node: task.node ?? "" }))) return;
  await queue.drop(client, [task]);
  await discardOutput(client, culprit, error);
  await endRun(client, queue, run, { ...failureOf(culprit.kind, run.shape), error });
}

export async function endRun(
  client: Queryable,
  queue: TaskQueue,
  run: PipelineRun,
  end: RunEnd,
): Promise<void> {
  await queue.drop(client, await readOpenTasks(client, run.id));
  await closeTasks(client, run.id);
  await finishRun(client, run.id, end);
}
