import type { RunState, RunStatus, TaskStatus } from "../runStatus.ts";

/** How far a Run was seen to come. */
export interface RunStage {
  /** Null where the node was not heard, or does not tell. */
  readonly state: RunState | null;
  /** In words, with what a waiting task waits for. */
  readonly text: string;
  /** False as long as no task was seen to run. */
  readonly hasStarted: boolean;
}

export const UNHEARD_STAGE: RunStage = {
  state: null,
  text: "sent, and nothing heard of it since",
  hasStarted: false,
};

export function stageOfStatus(status: RunStatus): RunStage {
  const { state, tasks } = status;
  const task =
    tasks.find((each) => each.state === "running") ??
    tasks.find((each) => each.state === "queued") ??
    tasks.at(-1);
  return {
    state,
    text: task === undefined ? `${state}, without a task yet` : `${state}: ${describeTask(task)}`,
    hasStarted: tasks.some((each) => each.state !== "queued" || each.attempts.length > 0),
  };
}

function describeTask(task: TaskStatus): string {
  const name = `the ${task.kind} task of "${task.programName}" (step ${task.step})`;
  if (task.state === "queued")
    return `${name} is queued${task.waitsFor === null ? "" : ` and ${task.waitsFor}`}`;
  if (task.state !== "running") return `${name} is ${task.state}`;
  const attempt = task.attempts.at(-1);
  if (attempt === undefined) return `${name} is starting`;
  const try_ = attempt.number > 1 ? `, attempt ${attempt.number},` : "";
  if (attempt.programStartedAt !== null)
    return `${name}${try_} runs its program since ${attempt.programStartedAt}`;
  if (attempt.bootedAt !== null) return `${name}${try_} has booted its VM at ${attempt.bootedAt}`;
  return `${name}${try_} boots its VM since ${attempt.startedAt}`;
}
