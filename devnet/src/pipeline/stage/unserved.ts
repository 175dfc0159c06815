import type { Queryable } from "../../store/database.ts";
import type { NodePool } from "../nodes/nodePool.ts";
import type { TaskKind } from "../plan/planTasks.ts";
import { TASK_TYPE } from "../store/statuses.ts";
import { readReadyKinds } from "../store/tasks.ts";

/** Kinds of tasks that could start and that no node can do, and why. */
export interface Unserved {
  /** @param ready kinds of which a task of any run can start now */
  refresh(ready: readonly TaskKind[]): ReadonlyMap<TaskKind, string>;
  /** Of one run; by what the last look at all found, as clients ask often. */
  ofRun(runId: string): Promise<string[]>;
}

export function createUnserved(database: Queryable, pool: Pick<NodePool, "whyNone">): Unserved {
  let last: readonly TaskKind[] = Object.keys(TASK_TYPE) as TaskKind[];
  const whyNone = (kinds: readonly TaskKind[]): Map<TaskKind, string> =>
    new Map(
      kinds.flatMap((kind) => {
        const reason = pool.whyNone(kind);
        return reason === null ? [] : [[kind, reason] as const];
      }),
    );
  return {
    refresh(ready) {
      const found = whyNone(ready);
      last = [...found.keys()];
      return found;
    },
    async ofRun(runId) {
      const reasons = whyNone(last);
      const unable = [...reasons.keys()];
      const waiting = unable.length === 0 ? [] : await readReadyKinds(database, unable, runId);
      return waiting.map((kind) => reasons.get(kind)!);
    },
  };
}
