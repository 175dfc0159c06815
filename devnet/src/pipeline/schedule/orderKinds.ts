import type { TaskKind } from "../plan/planTasks.ts";

/** The task of a kind that is the first of its kind in the queue. */
export interface QueueHead {
  /** Of its run; higher goes first. */
  readonly priority: number;
  /** Since when it is in the queue, in milliseconds. */
  readonly since: number;
}

/** What lets a run end goes before what begins another, by so much time in the queue. */
const ADVANTAGE_MS: Readonly<Record<TaskKind, number>> = {
  verify: 5_000,
  snark: 5_000,
  agg: 5_000,
  prove: 0,
  split: 0,
  single: 0,
};

/**
 * In which order kinds of tasks get the places that several of them could have: by priority, then by how long the first
 * of each waits. So the split of a new run is not kept waiting by the proves of those before it, however many they are.
 */
export function orderKinds(heads: ReadonlyMap<TaskKind, QueueHead | null>): TaskKind[] {
  const rank = (kind: TaskKind, { since }: QueueHead): number => since - ADVANTAGE_MS[kind];
  return [...heads]
    .flatMap(([kind, head]) => (head === null ? [] : [{ kind, head }]))
    .sort(
      (left, right) =>
        right.head.priority - left.head.priority || rank(left.kind, left.head) - rank(right.kind, right.head),
    )
    .map(({ kind }) => kind);
}
