import type { TaskKind } from "../plan/planTasks.ts";

/** What a run has to do and does, by kind of task. */
export interface RunLoad {
  readonly runId: string;
  readonly user: string;
  /** Higher goes first. */
  readonly priority: number;
  /** At most so many of its tasks in flight; 0 means no limit. */
  readonly maxInFlight: number;
  /** Milliseconds since the epoch: the older goes first where all else is equal. */
  readonly createdAt: number;
  /** Tasks that can start and are not in the queue yet. */
  readonly ready: ReadonlyMap<TaskKind, number>;
  /** Tasks in the queue or at a node. */
  readonly inFlight: number;
}

export interface Release {
  readonly runId: string;
  readonly kind: TaskKind;
  readonly count: number;
}

/**
 * Which ready tasks enter the queue, given how many more of each kind it has room for. A higher priority goes first;
 * among equals the user with the fewest tasks in flight, then that user's run with the fewest, then the oldest run. So
 * a user with a thousand tasks does not keep another's one waiting.
 */
export function chooseReleases(runs: readonly RunLoad[], room: ReadonlyMap<TaskKind, number>): Release[] {
  const perUser = new Map<string, number>();
  const perRun = new Map<string, number>();
  for (const run of runs) {
    perUser.set(run.user, (perUser.get(run.user) ?? 0) + run.inFlight);
    perRun.set(run.runId, run.inFlight);
  }
  const isBefore = (left: RunLoad, right: RunLoad): boolean => {
    const order =
      right.priority - left.priority ||
      perUser.get(left.user)! - perUser.get(right.user)! ||
      perRun.get(left.runId)! - perRun.get(right.runId)! ||
      left.createdAt - right.createdAt;
    return order < 0 || (order === 0 && left.runId < right.runId);
  };
  const releases: Release[] = [];
  for (const [kind, places] of room) {
    const chosen = new Map<string, number>();
    for (let place = 0; place < places; place += 1) {
      let next: RunLoad | null = null;
      for (const run of runs) {
        const isAtCap = run.maxInFlight > 0 && perRun.get(run.runId)! >= run.maxInFlight;
        if (isAtCap || (chosen.get(run.runId) ?? 0) >= (run.ready.get(kind) ?? 0)) continue;
        if (next === null || isBefore(run, next)) next = run;
      }
      if (next === null) break;
      chosen.set(next.runId, (chosen.get(next.runId) ?? 0) + 1);
      perRun.set(next.runId, perRun.get(next.runId)! + 1);
      perUser.set(next.user, perUser.get(next.user)! + 1);
    }
    releases.push(...[...chosen].map(([runId, count]) => ({ runId, kind, count })));
  }
  return releases;
}
