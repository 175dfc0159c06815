/** The first of the limits that a task's time has. */
export interface TaskDeadline {
  readonly ms: number;
  readonly setBy: "node" | "program" | "run";
}

/** Null is no limit. */
export function firstDeadline(limits: {
  readonly nodeMs: number;
  readonly programSeconds: number | null;
  /** Until the Run's deadline. */
  readonly runLeftMs: number | null;
}): TaskDeadline {
  const { nodeMs, programSeconds, runLeftMs } = limits;
  const all: readonly TaskDeadline[] = [
    { ms: nodeMs, setBy: "node" },
    ...(programSeconds === null ? [] : [{ ms: programSeconds * 1_000, setBy: "program" as const }]),
    ...(runLeftMs === null ? [] : [{ ms: Math.max(0, runLeftMs), setBy: "run" as const }]),
  ];
  return all.reduce((first, one) => (one.ms < first.ms ? one : first));
}

/** Whose it was, so that it is clear where a longer one is set. */
export function describeDeadline({ ms, setBy }: TaskDeadline): string {
  const seconds = `${ms / 1_000} s`;
  if (setBy === "run") return `before the deadline of its Run`;
  return setBy === "program" ? `within ${seconds}, its image's DeadlineSeconds,` : `within ${seconds}`;
}
