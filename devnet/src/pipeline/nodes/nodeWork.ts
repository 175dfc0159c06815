import type { TaskKind } from "../plan/planTasks.ts";

/**
 * The tasks that this stage has at a node, in the order in which it got them: as many as it has slots run there, the rest
 * wait for a slot.
 */
export interface NodeWork {
  readonly count: number;
  /** Whether this stage has that task there, or had it a moment ago. */
  knows(taskId: string): boolean;
  add(taskId: string, kind: TaskKind): void;
  /** @returns how long it ran, or null where it never had a slot. A done one counts for what is expected of the next. */
  remove(taskId: string, isDone: boolean): number | null;
  /** How many tasks of a kind may wait there. */
  ahead(kind: TaskKind): number;
}

/**
 * The next task travels while the one before it runs, so that a node is never idle in between. Where tasks are longer
 * than this the time in between doesn't matter, and a task that waits would keep others from starting it sooner.
 */
const AHEAD_BELOW_MS = 10_000;
/** How much the last task says about the next. */
const WEIGHT = 0.3;
/** What a node says that it runs is older than what it answered, by less than this. */
const KNOWN_FOR_MS = 5_000;

interface Place {
  readonly kind: TaskKind;
  /** Null while it waits. */
  begunAt: number | null;
}

/** @param room how many may wait at the node beyond its slots */
export function createNodeWork(
  deps: { readonly now: () => number },
  { slots, room }: { readonly slots: number; readonly room: number },
): NodeWork {
  const places = new Map<string, Place>();
  const usualMs = new Map<TaskKind, number>();
  /** When they left, the first first. */
  const left = new Map<string, number>();
  const leave = (taskId: string): void => {
    for (const [id, at] of left) {
      if (at > deps.now() - KNOWN_FOR_MS) break;
      left.delete(id);
    }
    left.delete(taskId);
    left.set(taskId, deps.now());
  };
  const beginNext = (): void => {
    for (const place of [...places.values()].slice(0, slots)) place.begunAt ??= deps.now();
  };
  return {
    get count() {
      return places.size;
    },
    knows: (taskId) =>
      places.has(taskId) || (left.get(taskId) ?? Number.NEGATIVE_INFINITY) > deps.now() - KNOWN_FOR_MS,
    add(taskId, kind) {
      places.set(taskId, { kind, begunAt: null });
      beginNext();
    },
    remove(taskId, isDone) {
      const place = places.get(taskId);
      if (places.delete(taskId)) leave(taskId);
      beginNext();
      if (!place || place.begunAt === null) return null;
      const tookMs = deps.now() - place.begunAt;
      const usual = usualMs.get(place.kind) ?? tookMs;
      if (isDone) usualMs.set(place.kind, usual + WEIGHT * (tookMs - usual));
      return tookMs;
    },
    ahead: (kind) => ((usualMs.get(kind) ?? Number.POSITIVE_INFINITY) < AHEAD_BELOW_MS ? room : 0),
  };
}
