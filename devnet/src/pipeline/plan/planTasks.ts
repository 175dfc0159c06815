import { type Aggregation, planAggregations, rootOf, type TreePlace } from "./aggregationTree.ts";

/** The existing service has two prover families, one a build; they aggregate differently. */
export type ProverVersion = "zkm" | "zkm2";

/** Where a run ends. */
export type Target = "split" | "prove" | "agg" | "snark";

/** What decides a run's tasks. Nothing of it changes while it runs, but for what the end of its split tells. */
export interface RunShape {
  readonly version: ProverVersion;
  readonly target: Target;
  /** From the receipts that came with the request straight to the wrap. */
  readonly fromAgg: boolean;
  /** One call to one node does it all. */
  readonly singleNode: boolean;
  /** What the split left of proofs of other runs; each is a leaf behind the segments' (zkm2). 0 until it is done. */
  readonly deferredProofs: number;
  /** A program of the operator's checks the result before the run counts as done. */
  readonly verifies: boolean;
}

/** Segments, counted while the split runs. */
export interface SegmentCount {
  readonly known: number;
  readonly total: number | null;
}

export type TaskKind = "split" | "prove" | "agg" | "snark" | "single" | "verify";

/** A node of a run's graph. Its key names it within the run, before and after every crash. */
export interface PlannedTask {
  readonly key: string;
  readonly kind: TaskKind;
  /** Keys of the tasks whose outputs it takes, in order. */
  readonly needs: readonly string[];
  /** Segment, or place in its layer of the tree. */
  readonly index: number;
  readonly layer: number;
  /** For aggregations. */
  readonly flags?: AggregationFlags;
}

export interface AggregationFlags {
  readonly isLeafLayer: boolean;
  readonly isFirstShard: boolean;
  readonly isDeferred: boolean;
  readonly isFinal: boolean;
}

/**
 * The tasks of a run that are certain by now. As segments become known the list grows; what was in it stays, unchanged.
 * A pure function of stored facts: after a crash it gives the same keys again.
 */
export function planTasks(shape: RunShape, segments: SegmentCount): PlannedTask[] {
  return [...computations(shape, segments)];
}

/**
 * The tasks that are certain with `after` and were not with `before`: what `planTasks` gives more. While the total is
 * unknown it costs no more than what was added.
 */
export function addedTasks(shape: RunShape, before: SegmentCount, after: SegmentCount): PlannedTask[] {
  if (after.total === null) return [...computations(shape, after, before.known)];
  const known = new Set(planTasks(shape, before).map((task) => task.key));
  return planTasks(shape, after).filter((task) => !known.has(task.key));
}

/** The task whose output is what a run is for; of a composite proof the first receipt; null where it only splits. */
export function resultKey(shape: RunShape, segments: SegmentCount): string | null {
  if (shape.singleNode) return "single";
  if (shape.target === "split") return null;
  if (shape.target === "prove") return "prove/0";
  return shape.target === "snark" ? "snark" : keyOf(shape, rootOf(leafCount(shape, segments).total!));
}

/** @param from only what segments from this number on add; all where it is null */
function* computations(
  shape: RunShape,
  segments: SegmentCount,
  from: number | null = null,
): Generator<PlannedTask> {
  if (shape.singleNode) {
    yield task("single", "single", []);
    if (shape.verifies) yield task("verify", "verify", ["single"]);
    return;
  }
  if (shape.fromAgg) {
    yield* wrap(shape, []);
    return;
  }
  if (from === null) yield task("split", "split", []);
  if (shape.target === "split") return;
  for (let index = from ?? 0; index < segments.known; index += 1) {
    // Its segment is there, which is why it is known: it need not wait for the end of the split.
    yield task(`prove/${index}`, "prove", [], index);
  }
  if (shape.target !== "prove") yield* aggregation(shape, segments, from ?? 0);
}

function* aggregation(shape: RunShape, segments: SegmentCount, from: number): Generator<PlannedTask> {
  const leaves = leafCount(shape, segments);
  if (shape.version === "zkm2") {
    // A leaf is made with the key that the split leaves at its end.
    if (segments.total === null || leaves.total === null) return;
    yield* leafLayer(segments.total, leaves.total);
  }
  for (const one of planAggregations(leaves, from)) yield aggregate(shape, one);
  if (leaves.total === null || leaves.total === 0) return;
  const root = keyOf(shape, rootOf(leaves.total));
  if (shape.target === "snark") yield* wrap(shape, [root]);
  else if (shape.verifies) yield task("verify", "verify", [root]);
}

function* wrap(shape: RunShape, needs: readonly string[]): Generator<PlannedTask> {
  yield task("snark", "snark", needs);
  if (shape.verifies) yield task("verify", "verify", ["snark"]);
}

/** zkm2: each segment's receipt, and each deferred proof, is first made a leaf. */
function* leafLayer(segments: number, total: number): Generator<PlannedTask> {
  const leaf = (index: number, isDeferred: boolean): PlannedTask => ({
    ...task(`leaf/${index}`, "agg", isDeferred ? [] : [`prove/${index}`], index),
    flags: { isLeafLayer: true, isFirstShard: index === 0, isDeferred, isFinal: total === 1 },
  });
  for (let index = 0; index < total; index += 1) yield leaf(index, index >= segments);
}

function leafCount(shape: RunShape, { known, total }: SegmentCount): SegmentCount {
  const deferred = shape.version === "zkm2" ? shape.deferredProofs : 0;
  // With the total unknown the deferred ones have no place yet: they stand behind the last segment.
  return total === null ? { known, total } : { known: total + deferred, total: total + deferred };
}

function aggregate(shape: RunShape, one: Aggregation): PlannedTask {
  const needs = one.inputs.map((place) => keyOf(shape, place));
  const flags = { isLeafLayer: false, isFirstShard: false, isDeferred: false, isFinal: one.isFinal };
  return { ...task(`agg/${one.layer}/${one.index}`, "agg", needs, one.index, one.layer), flags };
}

function keyOf(shape: RunShape, { layer, index }: TreePlace): string {
  if (layer > 0) return `agg/${layer}/${index}`;
  return shape.version === "zkm2" ? `leaf/${index}` : `prove/${index}`;
}

function task(key: string, kind: TaskKind, needs: readonly string[], index = 0, layer = 0): PlannedTask {
  return { key, kind, needs, index, layer };
}
