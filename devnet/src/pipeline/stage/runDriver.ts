import type { Database, Queryable } from "../../store/database.ts";
import { STEP } from "../admit/proofRequest.ts";
import type { Blob } from "../data/blobStore.ts";
import {
  type PlannedTask,
  planTasks,
  type RunShape,
  type SegmentCount,
  type TaskKind,
} from "../plan/planTasks.ts";
import type { TaskQueue } from "../schedule/taskQueue.ts";
import {
  finishRun,
  insertRun,
  lockUnfinishedRun,
  type NewRun,
  type PipelineRun,
  type RunEnd,
  reopenRun,
  setSegments,
  setStep,
} from "../store/runs.ts";
import { RUN_STATUS } from "../store/statuses.ts";
import {
  closeTasks,
  completeTasks,
  discardOutput,
  failTask,
  hasUnfinishedTasks,
  insertTasks,
  type PipelineTask,
  putTaskBack,
  readOpenTasks,
  readyTasks,
  reopenTasks,
  type TaskSetback,
} from "../store/tasks.ts";
import { createBatches } from "./batchByKey.ts";
import { countSetback, failureOf, failureText, nameOf } from "./runFailure.ts";

/** What a finished task brings. */
export interface TaskOutput extends Blob {
  /** Of a split. */
  readonly segments?: { readonly total: number; readonly totalSteps: bigint };
}

interface FinishedTask {
  readonly task: PipelineTask;
  readonly output: TaskOutput;
  readonly ranMs: number | null;
}

/**
 * Every change of a run goes through here, one transaction each, with the run's row locked: so what comes next is decided
 * by stored facts alone, and a crash between two changes loses nothing.
 */
export interface RunDriver {
  /** False where a run of that id exists. */
  begin(run: NewRun, inputs: ReadonlyMap<string, string>): Promise<boolean>;
  /**
   * More segments of a running split are there: SHA-256 of numbers `from` and on.
   * @returns how many segments of the run are known now
   */
  addSegments(runId: string, hashes: readonly string[], from: number): Promise<number>;
  /** @param ranMs how long it had a slot; null: since it was given to the node */
  complete(task: PipelineTask, output: TaskOutput, ranMs: number | null): Promise<void>;
  /** A task did not succeed: it starts again elsewhere, or the run fails. */
  setBack(task: PipelineTask, setback: TaskSetback): Promise<void>;
  /** `task` failed because of the output of `culprit`, which is not valid: the run fails. */
  blame(task: PipelineTask, culprit: PipelineTask, reason: string): Promise<void>;
  /** False where the run is over already. */
  end(runId: string, status: number, error: string): Promise<boolean>;
  /** A failed run goes on from what is done. False where it did not fail. */
  retry(runId: string): Promise<boolean>;
}

export interface RunDriverDeps {
  readonly database: Database;
  readonly queue: TaskQueue;
  readonly onChanged: (runId: string) => void;
  /** Places the finished proof where its URL points. */
  readonly publish: (run: PipelineRun, output: string) => Promise<string | undefined>;
}

export interface RunDriverOptions {
  readonly maxFailures: number;
  readonly maxLosses: number;
}

export function createRunDriver(deps: RunDriverDeps, options: RunDriverOptions): RunDriver {
  const { database, queue } = deps;
  const changing = async (
    runId: string,
    work: (client: Queryable, run: PipelineRun) => Promise<void>,
  ): Promise<boolean> => {
    const found = await database.transaction(async (client) => {
      const run = await lockUnfinishedRun(client, runId);
      if (run) await work(client, run);
      return run !== null;
    });
    if (found) deps.onChanged(runId);
    return found;
  };
  const finished = createBatches<FinishedTask>(
    async (runId, tasks) =>
      void (await changing(runId, (client, run) => finishTasks(deps, client, run, tasks))),
  );
  const endRun = async (client: Queryable, run: PipelineRun, end: RunEnd): Promise<void> => {
    await queue.drop(client, await readOpenTasks(client, run.id));
    await closeTasks(client, run.id);
    await finishRun(client, run.id, end);
  };

  return {
    async begin(run, inputs) {
      const isBegun = await database.transaction((client) => begin(client, run, inputs));
      if (isBegun) deps.onChanged(run.id);
      return isBegun;
    },
    async addSegments(runId, hashes, from) {
      let known = 0;
      await changing(runId, async (client, run) => {
        known = await addUnknown(client, run, hashes, from);
      });
      return known;
    },
    complete: (task, output, ranMs) => finished(task.proofId, { task, output, ranMs }),
    setBack: async (task, setback) =>
      void (await changing(task.proofId, async (client, run) => {
        const after = countSetback(task, setback);
        if (after.failures >= options.maxFailures || after.losses >= options.maxLosses) {
          await failTask(client, task.id, setback);
          const end = failureOf(task.kind, run.shape);
          return endRun(client, run, { ...end, error: failureText(task, setback) });
        }
        if (!(await putTaskBack(client, task.id, setback))) return;
        const queued = { id: task.id, kind: task.kind, priority: run.priority };
        await (after.failures > task.failures ? queue.retry(client, queued) : queue.giveBack(client, queued));
      })),
    blame: async (task, culprit, reason) =>
      void (await changing(task.proofId, async (client, run) => {
        const error = `${nameOf(culprit)} by node ${culprit.node} is not valid: ${reason}`;
        await failTask(client, task.id, { outcome: "failed", error, node: task.node ?? "" });
        await discardOutput(client, culprit, error);
        await endRun(client, run, { ...failureOf(culprit.kind, run.shape), error });
      })),
    async retry(runId) {
      const isRetried = await database.transaction((client) => reopen(client, queue, runId));
      if (isRetried) deps.onChanged(runId);
      return isRetried;
    },
    end: async (runId, status, error) =>
      changing(runId, (client, run) => endRun(client, run, { status, step: run.step, error })),
  };
}

async function begin(client: Queryable, run: NewRun, inputs: ReadonlyMap<string, string>): Promise<boolean> {
  if (!(await insertRun(client, run))) return false;
  await insertTasks(client, run.id, planTasks(run.shape, { known: 0, total: null }), inputs);
  return true;
}

async function reopen(client: Queryable, queue: TaskQueue, runId: string): Promise<boolean> {
  if (!(await reopenRun(client, runId))) return false;
  // Their old places in the queue would keep them from getting new ones.
  await queue.drop(client, await reopenTasks(client, runId));
  return true;
}

/** @returns how many segments are known then */
async function addUnknown(
  client: Queryable,
  run: PipelineRun,
  hashes: readonly string[],
  from: number,
): Promise<number> {
  const { known, total } = run.segments;
  // A split that runs again, after a crash, brings what is known already.
  const unknown = hashes.slice(Math.max(0, known - from));
  if (from > known || unknown.length === 0) return known;
  const inputs = new Map(unknown.map((hash, index) => [`prove/${known + index}`, hash]));
  await grow(client, run, { known: known + unknown.length, total }, null, inputs);
  return known + unknown.length;
}

/** Stores what tasks brought, and makes ready what can start now; the last ones end the run. */
async function finishTasks(
  { queue, publish }: RunDriverDeps,
  client: Queryable,
  run: PipelineRun,
  finished: readonly FinishedTask[],
): Promise<void> {
  await queue.finish(
    client,
    finished.map(({ task }) => task),
  );
  const done = await completeTasks(
    client,
    finished.map(({ task, output, ranMs }) => ({ id: task.id, ...output, ranMs })),
  );
  const fresh = finished.filter(({ task }) => done.has(task.id));
  if (fresh.length === 0) return;
  const step = Math.max(...fresh.map(({ task }) => nextStep(task.kind, run.shape)));
  if (run.step !== step) await setStep(client, run.id, step);
  for (const { output } of fresh) {
    if (!output.segments) continue;
    const all = { known: output.segments.total, total: output.segments.total };
    await grow(client, run, all, output.segments.totalSteps, new Map());
  }
  const keys = fresh.map(({ task }) => task.planned.key);
  if (await readyTasks(client, run.id, keys)) return;
  if (!(await hasUnfinishedTasks(client, run.id))) await succeed(client, run, publish);
}

/** Adds the tasks that the newly known segments make certain. */
async function grow(
  client: Queryable,
  run: PipelineRun,
  segments: SegmentCount,
  totalSteps: bigint | null,
  inputs: ReadonlyMap<string, string>,
): Promise<void> {
  await setSegments(client, run.id, segments, totalSteps);
  const before = new Set(planTasks(run.shape, run.segments).map((task) => task.key));
  const added = planTasks(run.shape, segments).filter((task: PlannedTask) => !before.has(task.key));
  await insertTasks(client, run.id, added, inputs);
}

async function succeed(
  client: Queryable,
  run: PipelineRun,
  publish: RunDriverDeps["publish"],
): Promise<void> {
  const found = await client.query<{ output_hash: string }>(
    `select output_hash from prove_task where proof_id = $1 and itype <> 7
     order by case itype when 5 then 0 when 6 then 1 when 3 then 2 else 3 end, finished_at desc limit 1`,
    [run.id],
  );
  const resultHash = found.rows[0]?.output_hash;
  const result = resultHash === undefined ? undefined : await publish(run, resultHash);
  // The existing service: a wrapped run ends at step 5, others at 6.
  const step = run.shape.target === "snark" ? STEP.Snark : STEP.End;
  await finishRun(client, run.id, {
    status: RUN_STATUS.SUCCESS,
    step,
    ...(resultHash !== undefined && { resultHash }),
    ...(result !== undefined && { result }),
  });
}

function nextStep(kind: TaskKind, shape: RunShape): number {
  if (kind === "split") return STEP.Prove;
  if (kind === "prove" || kind === "agg") return shape.target === "prove" ? STEP.Prove : STEP.Agg;
  return STEP.Snark;
}
