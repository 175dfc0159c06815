import type { Queryable } from "../../store/database.ts";
import { addedTasks, type SegmentCount } from "../plan/planTasks.ts";
import type { TaskQueue } from "../schedule/taskQueue.ts";
import { type PipelineRun, setSegments } from "../store/runs.ts";
import { readSegmentHashes, removeBehindSplit, setDeferredProofs } from "../store/splits.ts";
import { insertTasks } from "../store/tasks.ts";

/**
 * @param hashes of segments `from` and on
 * @returns how many segments are known then
 */
export async function addUnknown(
  client: Queryable,
  run: PipelineRun,
  hashes: readonly string[],
  from: number,
): Promise<number> {
  const { known, total } = run.segments;
  const unknown = hashes.slice(Math.max(0, known - from));
  if (from > known || unknown.length === 0) return known;
  const inputs = new Map(unknown.map((hash, index) => [`prove/${known + index}`, hash]));
  await grow(client, run, { known: known + unknown.length, total }, null, inputs);
  return known + unknown.length;
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
  await insertTasks(client, run.id, addedTasks(run.shape, run.segments, segments), inputs);
}

/** What a finished split brings. */
export interface SplitEnd {
  readonly segments: number;
  readonly totalSteps: bigint;
  /** SHA-256 of the deferred proofs that it left; undefined where they are no part of the run, or known before. */
  readonly deferred?: readonly string[] | undefined;
}

/** All segments are known: adds the tasks that were not certain before. */
export async function endSplit(
  client: Queryable,
  run: PipelineRun,
  { segments: total, totalSteps, deferred }: SplitEnd,
): Promise<void> {
  if (!deferred) return grow(client, run, { known: total, total }, totalSteps, new Map());
  await setDeferredProofs(client, run.id, deferred.length);
  const shape = { ...run.shape, deferredProofs: deferred.length };
  const inputs = new Map(deferred.map((hash, index) => [`leaf/${total + index}`, hash]));
  await grow(client, { ...run, shape }, { known: total, total }, totalSteps, inputs);
}

/** Whether a run's segments are these, by number. */
export async function hasSegments(
  client: Queryable,
  runId: string,
  hashes: ReadonlyMap<number, string>,
): Promise<boolean> {
  const keyOf = (index: number): string => `prove/${index}`;
  const known = await readSegmentHashes(client, runId, [...hashes.keys()].map(keyOf));
  return [...hashes].every(([index, hash]) => known.get(keyOf(index)) === hash);
}

/** As if the split had not begun. */
export async function dropSegments(client: Queryable, queue: TaskQueue, runId: string): Promise<void> {
  await queue.drop(client, await removeBehindSplit(client, runId));
  await setSegments(client, runId, { known: 0, total: null }, null);
}
