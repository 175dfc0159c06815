import type { Queryable } from "../../store/database.ts";
import type { NodePool } from "../nodes/nodePool.ts";
import type { TaskKind } from "../plan/planTasks.ts";
import { TASK_TYPE } from "../store/statuses.ts";
import { readReadyKinds } from "../store/tasks.ts";

const KINDS = Object.keys(TASK_TYPE) as TaskKind[];

/** Kinds of tasks that could start and that no node can do, and why; of one run, or of all. */
export async function readUnservedKinds(
  client: Queryable,
  pool: Pick<NodePool, "whyNone">,
  runId: string | null = null,
): Promise<Map<TaskKind, string>> {
  const reasons = new Map(
    KINDS.flatMap((kind) => {
      const reason = pool.whyNone(kind);
      return reason === null ? [] : [[kind, reason] as const];
    }),
  );
  const waiting = reasons.size === 0 ? [] : await readReadyKinds(client, [...reasons.keys()], runId);
  return new Map(waiting.map((kind) => [kind, reasons.get(kind)!]));
}
