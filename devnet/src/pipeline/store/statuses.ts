import type { TaskKind } from "../plan/planTasks.ts";

/** `stage.v1.Status`. */
export const RUN_STATUS = {
  SUCCESS: 0,
  UNSPECIFIED: 1,
  COMPUTING: 2,
  INVALID_PARAMETER: 3,
  INTERNAL_ERROR: 4,
  SPLIT_ERROR: 5,
  PROVE_ERROR: 6,
  AGG_ERROR: 7,
  SNARK_ERROR: 8,
} as const;

/** `prove_task.status`. */
export const TASK_STATUS = { waiting: 0, ready: 1, running: 2, done: 3, failed: 4 } as const;

/** `prove_task.itype`; single and verify are ours. */
export const TASK_TYPE: Readonly<Record<TaskKind, number>> = {
  split: 1,
  prove: 2,
  agg: 3,
  snark: 5,
  single: 6,
  verify: 7,
};

const KINDS = new Map(Object.entries(TASK_TYPE).map(([kind, type]) => [type, kind as TaskKind]));

export function taskKindOf(itype: number): TaskKind {
  const kind = KINDS.get(itype);
  if (kind === undefined) throw new Error(`prove_task.itype ${itype} is unknown`);
  return kind;
}
