import type { Queryable } from "../../store/database.ts";
import type { NodePool } from "../nodes/nodePool.ts";
import type { TaskKind } from "../plan/planTasks.ts";
import { TASK_TYPE } from "../store/statuses.ts";
import { readReadyKinds } from "../store/tasks.ts";

/** Kinds of tasks that could start and that no node can do, and why. */
export interface Unserved {
  /** Looks at all runs. */
  refresh(): Promise<ReadonlyMap<TaskKind, string>>;
  /** Of one run; by what the last look at all found, as clients ask often. */
  ofRun(runId: string): Promise<string[]>;
}

const KINDS = Object.keys(TASK_TYPE) as TaskKind[];

export function createUnserved(database: Queryable, pool: Pick<NodePool, "whyNone">): Unserved {
  let last: readonly TaskKind[] = KINDS;
  const read = async (kinds: readonly TaskKind[], runId: string | null): Promise<Map<TaskKind, string>> => {
    const reasons = new Map(kinds.map((kind) => [kind, pool.whyNone(kind)]));
    const unable = kinds.filter((kind) => reasons.get(kind) !== null);
    const waiting = unable.length === 0 ? [] : await readReadyKinds(database, unable, runId);
    return new Map(waiting.map((kind) => [kind, reasons.get(kind)!]));
  };
  return {
    async refresh() {
      const found = await read(KINDS, null);
      last = [...found.keys()];
      return found;
    },
    ofRun: async (runId) => [...(await read(last, runId)).values()],
  };
}
