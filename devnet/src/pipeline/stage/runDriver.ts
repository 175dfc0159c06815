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
  setSegments,
  setStep,
} from "../store/runs.ts";
import { RUN_STATUS } from "../store/statuses.ts";
import {
  completeTask,
  failTask,
  hasUnfinishedTasks,
  insertTasks,
  type PipelineTask,
  putTaskBack,
  readOpenTasks,
  readyTasks,
  type TaskSetback,
} from "../store/tasks.ts";

/** What a finished task brings. */
export interface TaskOutput extends Blob {
  /** Of a split. */
  readonly segments?: { readonly total: number; readonly totalSteps: bigint };
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
  complete(task: PipelineTask, output: TaskOutput): Promise<void>;
  /** A task did not succeed: it starts again elsewhere, or the run fails. */
  setBack(task: PipelineTask, setback: TaskSetback): Promise<void>;
  /** `task` failed because of the output of `culprit`, which is not valid: the run fails. */
  blame(task: PipelineTask, culprit: PipelineTask, reason: string): Promise<void>;
  end(runId: string, status: number, error: string): Promise<boolean>;
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

  const endRun = async (
    client: Queryable,
    run: PipelineRun,
    status: number,
    step: number,
    error: string,
  ): Promise<void> => {
    const open = await readOpenTasks(client, run.id);
    await queue.drop(client, open);
    await finishRun(client, run.id, { status, step, error });
  };

  return {
    async begin(run, inputs) {
      const begun = await database.transaction(async (client) => {
        if (!(await insertRun(client, run))) return false;
        await insertTasks(client, run.id, planTasks(run.shape, { known: 0, total: null }), inputs);
        return true;
      });
      if (begun) deps.onChanged(run.id);
      return begun;
    },

    async addSegments(runId, hashes, from) {
      let known = 0;
      await changing(runId, async (client, run) => {
        known = run.segments.known;
        // A split that runs again, after a crash, brings what is known already.
        const unknown = hashes.slice(Math.max(0, known - from));
        if (from > known || unknown.length === 0) return;
        known += unknown.length;
        const segments = { known, total: run.segments.total };
        await grow(client, run, segments, null, segmentInputs(unknown, run.segments.known));
      });
      return known;
    },

    async complete(task, output) {
      await changing(task.proofId, async (client, run) => {
        await queue.finish(client, task);
        if (!(await completeTask(client, task.id, output))) return;
        const { segments } = output;
        if (segments) {
          const all = { known: segments.total, total: segments.total };
          await grow(client, run, all, segments.totalSteps, new Map());
        } else await readyTasks(client, run.id, task.planned.key);
        await setStep(client, run.id, nextStep(task.kind, run.shape));
        if (!(await hasUnfinishedTasks(client, run.id))) await succeed(client, run, deps.publish);
      });
    },

    async setBack(task, setback) {
      await changing(task.proofId, async (client, run) => {
        const failures = task.failures + (setback.outcome === "failed" || setback.outcome === "late" ? 1 : 0);
        const losses = task.losses + (setback.outcome === "lost" ? 1 : 0);
        if (failures >= options.maxFailures || losses >= options.maxLosses) {
          await failTask(client, task.id, setback);
          const { status, step } = failureOf(task.kind, run.shape);
          await endRun(client, run, status, step, failureText(task, setback));
          return;
        }
        await putTaskBack(client, task.id, setback);
        const queued = { id: task.id, kind: task.kind, priority: run.priority };
        if (failures > task.failures) await queue.retry(client, queued);
        else await queue.giveBack(client, queued);
      });
    },

    async blame(task, culprit, reason) {
      await changing(task.proofId, async (client, run) => {
        const error = `${nameOf(culprit)} by node ${culprit.node} is not valid: ${reason}`;
        await failTask(client, task.id, { outcome: "failed", error, node: task.node ?? "" });
        const { status, step } = failureOf(culprit.kind, run.shape);
        await endRun(client, run, status, step, error);
      });
    },

    end: (runId, status, error) =>
      changing(runId, (client, run) => endRun(client, run, status, run.step, error)),
  };
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

function segmentInputs(hashes: readonly string[], from: number): Map<string, string> {
  return new Map(hashes.map((hash, index) => [`prove/${from + index}`, hash]));
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

const FAILURES: Readonly<Record<TaskKind, { status: number; step: number }>> = {
  split: { status: RUN_STATUS.SPLIT_ERROR, step: STEP.Split },
  prove: { status: RUN_STATUS.PROVE_ERROR, step: STEP.Prove },
  agg: { status: RUN_STATUS.AGG_ERROR, step: STEP.Agg },
  snark: { status: RUN_STATUS.SNARK_ERROR, step: STEP.Snark },
  single: { status: RUN_STATUS.PROVE_ERROR, step: STEP.Prove },
  verify: { status: RUN_STATUS.SNARK_ERROR, step: STEP.Snark },
};

function failureOf(kind: TaskKind, shape: RunShape): { status: number; step: number } {
  // What is verified is what the last step made.
  return kind === "verify" && shape.target === "agg" ? FAILURES.agg : FAILURES[kind];
}

function nextStep(kind: TaskKind, shape: RunShape): number {
  if (kind === "split") return STEP.Prove;
  if (kind === "prove" || kind === "agg") return shape.target === "prove" ? STEP.Prove : STEP.Agg;
  return STEP.Snark;
}

function failureText(task: PipelineTask, setback: TaskSetback): string {
  const nodes = [...new Set([...task.notOn, setback.node])].join(", ");
  return `${nameOf(task)} failed on ${nodes}: ${setback.error}`;
}

function nameOf(task: PipelineTask): string {
  return task.kind === "prove" ? `the proof of segment ${task.planned.index}` : `task ${task.planned.key}`;
}
