/** What an estimate needs to know of a task. */
export interface TaskTiming {
  readonly kind: string;
  readonly state: "waiting" | "ready" | "running" | "done" | "failed";
  readonly seconds: number | null;
}

export interface Estimate {
  /** Null where nothing is known of any kind that is left. */
  readonly seconds: number | null;
  /** False where kinds are left out, of which nothing is known, or more tasks will come: it takes at least so long. */
  readonly isWhole: boolean;
}

/**
 * Seconds until a run's known tasks are done: for each kind the mean time of those that are done, else the usual one,
 * times what is left, over the slots that can do it.
 * @param usual seconds of a kind in earlier runs
 */
export function estimateRest(
  tasks: readonly TaskTiming[],
  slots: ReadonlyMap<string, number>,
  usual: ReadonlyMap<string, number>,
): Estimate {
  const left = tasks.filter((task) => task.state !== "done");
  if (left.length === 0) return { seconds: 0, isWhole: true };
  let seconds: number | null = null;
  // While it splits, segments come that nobody knows yet.
  let isWhole = !left.some((task) => task.kind === "split");
  for (const kind of new Set(left.map((task) => task.kind))) {
    const mean = meanSeconds(tasks, kind) ?? usual.get(kind);
    const places = slots.get(kind) ?? 0;
    if (mean === undefined || places === 0) isWhole = false;
    else seconds = (seconds ?? 0) + secondsOf(left, kind, mean, places);
  }
  return { seconds, isWhole };
}

/** Undefined where none is done. */
function meanSeconds(tasks: readonly TaskTiming[], kind: string): number | undefined {
  const done = tasks.filter((task) => task.kind === kind && task.state === "done" && task.seconds !== null);
  return done.length === 0 ? undefined : done.reduce((sum, task) => sum + task.seconds!, 0) / done.length;
}

function secondsOf(left: readonly TaskTiming[], kind: string, mean: number, places: number): number {
  const ofKind = left.filter((task) => task.kind === kind);
  const begun = ofKind.reduce(
    (sum, task) => sum + Math.min(mean, task.state === "running" ? (task.seconds ?? 0) : 0),
    0,
  );
  return (mean * ofKind.length - begun) / Math.min(places, ofKind.length);
}
