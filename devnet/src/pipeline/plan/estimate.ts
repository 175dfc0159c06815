/** What an estimate needs to know of a task. */
export interface TaskTiming {
  readonly kind: string;
  readonly state: "waiting" | "ready" | "running" | "done" | "failed";
  readonly seconds: number | null;
}

/**
 * Seconds until a run's known tasks are done: for each kind the mean time of those that are done, times what is left,
 * over the slots that can do it. Null where a kind that is left has no done task yet, or nobody can do it.
 */
export function estimateSeconds(
  tasks: readonly TaskTiming[],
  slots: ReadonlyMap<string, number>,
): number | null {
  let total = 0;
  for (const kind of new Set(tasks.map((task) => task.kind))) {
    const ofKind = tasks.filter((task) => task.kind === kind);
    const done = ofKind.filter((task) => task.state === "done" && task.seconds !== null);
    const left = ofKind.filter((task) => task.state !== "done");
    if (left.length === 0) continue;
    const places = slots.get(kind) ?? 0;
    if (done.length === 0 || places === 0) return null;
    const mean = done.reduce((sum, task) => sum + task.seconds!, 0) / done.length;
    const begun = left.reduce(
      (sum, task) => sum + Math.min(mean, task.state === "running" ? (task.seconds ?? 0) : 0),
      0,
    );
    total += (mean * left.length - begun) / Math.min(places, left.length);
  }
  return total;
}
