import type { Logger } from "pino";
import { type Database, isUnreachable, type Queryable } from "../../store/database.ts";
import { STEP } from "../admit/proofRequest.ts";
import type { Blob } from "../data/blobStore.ts";
import { planTasks, type RunShape, type TaskKind } from "../plan/planTasks.ts";
import type { TaskQueue } from "../schedule/taskQueue.ts";
import {
  finishRun,
  insertRun,
  isUnplaced,
  lockUnfinishedRun,
  type NewRun,
  noteTrouble,
  type PipelineRun,
  removeUnplaced,
  reopenRun,
  setSegments,
  setStep,
} from "../store/runs.ts";
import { isSplitDone, readEarlierNodes } from "../store/splits.ts";
import { RUN_STATUS } from "../store/statuses.ts";
import {
  completeTasks,
  hasUnfinishedTasks,
  insertTasks,
  type PipelineTask,
  reopenTasks,
  type TaskSetback,
} from "../store/tasks.ts";
import { createBatches } from "./batchByKey.ts";
import { type Publish, publishResult } from "./runResult.ts";
import { addUnknown, dropSegments, endSplit, hasSegments } from "./runSegments.ts";
import { blame, endRun, type SetbackOptions, setBack } from "./runSetback.ts";

/** A disk that is full, or a file that is in the way, may be mended for so long. */
const LONGEST_TROUBLE_SECONDS = 600;

/** What a finished task brings. */
export interface TaskOutput extends Blob {
  /** Of a split: how many it made. */
  readonly segments?: number;
  /** Of a split for zkm2: SHA-256 of the deferred proofs that it left. */
  readonly deferred?: readonly string[] | undefined;
  /** Of a split, and of a run that one node does. */
  readonly totalSteps?: bigint;
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
  /**
   * False where a run of that id exists. One of which the data was not yet in place, as the stage died, goes on with this.
   * @param place puts its data in place, before any of its tasks can start; it may take long, and happen twice
   */
  begin(run: NewRun, inputs: ReadonlyMap<string, string>, place: () => Promise<void>): Promise<boolean>;
  /**
   * More segments of a running split are there: SHA-256 of numbers `from` and on.
   * @returns how many segments of the run are known now
   */
  addSegments(runId: string, hashes: readonly string[], from: number): Promise<number>;
  /**
   * A split that was started again brings segments that are known: SHA-256 by number.
   * @returns false where they are not those that an earlier start brought
   */
  hasSegments(runId: string, hashes: ReadonlyMap<number, string>): Promise<boolean>;
  /** The split goes otherwise than an earlier start of it: what was made of that one's segments goes. */
  dropSegments(split: PipelineTask): Promise<void>;
  /** @param ranMs how long it had a slot; null: since it was given to the node */
  complete(task: PipelineTask, output: TaskOutput, ranMs: number | null): Promise<void>;
  /** A task did not succeed: it starts again elsewhere, or the run fails. */
  setBack(task: PipelineTask, setback: TaskSetback): Promise<void>;
  /** `task` failed because of the output of `culprit`, which is not valid: the run fails. */
  blame(task: PipelineTask, culprit: PipelineTask, reason: string): Promise<void>;
  /** False where the run is over already. */
  end(runId: string, status: number, error: string): Promise<boolean>;
  /** A failed run goes on from what is done. False where it did not fail, or has no tasks. */
  retry(runId: string): Promise<boolean>;
  /** Ends runs of which all is done: who did the last task died before that, or could not place the proof. */
  succeed(runIds: readonly string[]): Promise<void>;
}

export interface RunDriverDeps {
  readonly log: Logger;
  readonly database: Database;
  readonly queue: TaskQueue;
  readonly onChanged: (runId: string) => void;
  readonly publish: Publish;
}

export function createRunDriver(deps: RunDriverDeps, options: SetbackOptions): RunDriver {
  const { database, queue } = deps;
  const changing = (runId: string, work: Change): Promise<boolean> => change(deps, runId, work);
  const placing = new Map<string, Promise<void>>();
  const succeedOnce = (runId: string): Promise<void> => {
    const placed = placing.get(runId) ?? succeed(deps, runId).finally(() => placing.delete(runId));
    placing.set(runId, placed);
    return placed;
  };
  const finished = createBatches<FinishedTask>(async (runId, tasks) => {
    let isComplete = false;
    await changing(runId, async (client, run) => {
      isComplete = await finishTasks(queue, client, run, tasks);
    });
    if (isComplete) await succeedOnce(runId);
  });
  return {
    async begin(run, inputs, place) {
      if (!(await insertRun(database, run)) && !(await isUnplaced(database, run))) return false;
      try {
        await place();
        return await changing(run.id, (client) =>
          insertTasks(client, run.id, planTasks(run.shape, { known: 0, total: null }), inputs),
        );
      } catch (error) {
        await removeUnplaced(database, run).catch(() => {});
        throw error;
      }
    },
    async addSegments(runId, hashes, from) {
      let known = 0;
      await changing(runId, async (client, run) => {
        known = await addUnknown(client, run, hashes, from);
      });
      return known;
    },
    complete: (task, output, ranMs) => finished(task.proofId, { task, output, ranMs }),
    hasSegments: (runId, hashes) => hasSegments(database, runId, hashes),
    dropSegments: async (split) =>
      void (await changing(split.proofId, async (client, run) => {
        const nodes = await readEarlierNodes(client, split);
        deps.log.warn(
          { run: run.id, nodes },
          "the split goes otherwise than that of an earlier node: it begins again",
        );
        await dropSegments(client, queue, run.id);
      })),
    setBack: async (task, setback) =>
      void (await changing(task.proofId, (client, run) =>
        setBack(client, queue, run, task, setback, options),
      )),
    blame: async (task, culprit, reason) =>
      void (await changing(task.proofId, (client, run) => blame(client, queue, run, task, culprit, reason))),
    async succeed(runIds) {
      await Promise.all(runIds.map(succeedOnce));
    },
    async retry(runId) {
      const isRetried = await database.transaction((client) => reopen(client, queue, runId));
      if (isRetried) deps.onChanged(runId);
      return isRetried;
    },
    end: async (runId, status, error) =>
      changing(runId, (client, run) => endRun(client, queue, run, { status, step: run.step, error })),
  };
}

type Change = (client: Queryable, run: PipelineRun) => Promise<void>;

/** @returns false where the run is over already */
async function change({ database, onChanged }: RunDriverDeps, runId: string, work: Change): Promise<boolean> {
  const found = await database.transaction(async (client) => {
    const run = await lockUnfinishedRun(client, runId);
    if (run) await work(client, run);
    return run !== null;
  });
  if (found) onChanged(runId);
  return found;
}

/**
 * The proof is placed before the run's row is locked: a write to S3 may take long. Where it can't be, the run says why, and
 * ends by that after a while: a retry goes on from there.
 */
async function succeed(deps: RunDriverDeps, runId: string): Promise<void> {
  try {
    const end = await publishResult(deps.database, deps.publish, runId);
    if (end) await change(deps, runId, (client, run) => finishRun(client, run.id, end));
  } catch (error) {
    const reason = `the proof can't be placed: ${(error as Error).message}`;
    deps.log.warn({ run: runId, reason }, "a run is done, but can't end; trying again");
    if (isUnreachable(error)) return;
    await change(deps, runId, async (client, { step }) => {
      const isOver = await noteTrouble(client, runId, reason, LONGEST_TROUBLE_SECONDS);
      if (isOver) await finishRun(client, runId, { status: RUN_STATUS.INTERNAL_ERROR, step, error: reason });
    }).catch(() => {});
  }
}

async function reopen(client: Queryable, queue: TaskQueue, runId: string): Promise<boolean> {
  const run = await reopenRun(client, runId);
  if (!run) return false;
  if (run.shape.fromAgg) await setStep(client, runId, STEP.Snark);
  // Their old places in the queue would keep them from getting new ones.
  await queue.drop(client, await reopenTasks(client, runId));
  // What a split that turned out to be wrong brought is wrong too.
  if (run.segments.total !== null && !(await isSplitDone(client, runId)))
    await dropSegments(client, queue, runId);
  return true;
}

/**
 * Stores what tasks brought, and makes ready what can start now.
 * @returns whether all of the run is done then
 */
async function finishTasks(
  queue: TaskQueue,
  client: Queryable,
  run: PipelineRun,
  finished: readonly FinishedTask[],
): Promise<boolean> {
  const outputs = finished.map(({ task, output, ranMs }) => ({ id: task.id, ...output, ranMs }));
  const tasks = finished.map(({ task }) => task);
  const [{ done, isOpen }] = await Promise.all([
    completeTasks(client, run.id, outputs),
    queue.finish(client, tasks),
  ]);
  const fresh = finished.filter(({ task }) => done.has(task.id));
  if (fresh.length === 0) return false;
  const step = Math.max(...fresh.map(({ task }) => nextStep(task.kind, run.shape)));
  if (run.step < step) await setStep(client, run.id, step);
  let hasGrown = false;
  for (const { output } of fresh) {
    if (output.totalSteps === undefined) continue;
    const { segments, totalSteps, deferred } = output;
    if (segments === undefined) await setSegments(client, run.id, run.segments, totalSteps);
    else {
      await endSplit(client, run, { segments, totalSteps, deferred });
      hasGrown = true;
    }
  }
  return hasGrown ? !(await hasUnfinishedTasks(client, run.id)) : !isOpen;
}

function nextStep(kind: TaskKind, shape: RunShape): number {
  if (kind === "split") return STEP.Prove;
  if (kind === "prove" || kind === "agg") return shape.target === "prove" ? STEP.Prove : STEP.Agg;
  return STEP.Snark;
}
