import { STEP } from "../admit/proofRequest.ts";
import type { RunShape, TaskKind } from "../plan/planTasks.ts";
import { RUN_STATUS } from "../store/statuses.ts";
import type { PipelineTask, TaskSetback } from "../store/tasks.ts";

const FAILURES: Readonly<Record<TaskKind, { status: number; step: number }>> = {
  split: { status: RUN_STATUS.SPLIT_ERROR, step: STEP.Split },
  prove: { status: RUN_STATUS.PROVE_ERROR, step: STEP.Prove },
  agg: { status: RUN_STATUS.AGG_ERROR, step: STEP.Agg },
  snark: { status: RUN_STATUS.SNARK_ERROR, step: STEP.Snark },
  single: { status: RUN_STATUS.PROVE_ERROR, step: STEP.Prove },
  verify: { status: RUN_STATUS.SNARK_ERROR, step: STEP.Snark },
};

/** The status and step of a run that ends with a task of this kind. */
export function failureOf(kind: TaskKind, shape: RunShape): { status: number; step: number } {
  // What is verified is what the last step made.
  return kind === "verify" && shape.target === "agg" ? FAILURES.agg : FAILURES[kind];
}

export function failureText(task: PipelineTask, setback: TaskSetback): string {
  const nodes = [...new Set([...task.notOn, setback.node])].join(", ");
  return `${nameOf(task)} failed on ${nodes}: ${setback.error}`;
}

export function nameOf(task: PipelineTask): string {
  return task.kind === "prove" ? `the proof of segment ${task.planned.index}` : `task ${task.planned.key}`;
}

/** A task's count of failures and losses after a setback. */
export function countSetback(
  task: PipelineTask,
  { outcome }: TaskSetback,
): { failures: number; losses: number } {
  const isFailure = outcome === "failed" || outcome === "late";
  return {
    failures: task.failures + (isFailure ? 1 : 0),
    losses: task.losses + (outcome === "lost" ? 1 : 0),
  };
}
