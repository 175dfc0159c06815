import type { RunEventName, TaskFailure } from "gevulot-sdk";
import type { CourseTask, RunCourse } from "../store/readRunEvents.ts";

export interface RunEvent {
  /** Rises along a Run, with gaps; the same event has the same id, also after a restart of the node. */
  readonly id: number;
  readonly name: RunEventName;
  readonly data: {
    readonly run: string;
    /** ISO 8601, UTC. */
    readonly at: string;
    readonly task?: string;
    readonly step?: number;
    readonly attempt?: number;
    readonly proof?: string;
    readonly verification?: string;
    readonly failure?: TaskFailure;
  };
}

export interface RunEvents {
  readonly events: readonly RunEvent[];
  /** Nothing will follow. */
  readonly ended: boolean;
}

const SUBMITTED_ID = 1;
const IDS_PER_TASK = 1_000;
const IDS_PER_ATTEMPT = 4;
/** The last attempts share the last ids; a task has three, but each stop of the node adds one. */
const MAX_NUMBERED_ATTEMPT = IDS_PER_TASK / IDS_PER_ATTEMPT - 2;
const LAST_ID = 1_000_000_000;

/**
 * The events of a Run, from what is stored of it. Each has its place: a task's come after those of the tasks that were
 * there before it, and a Proof comes before the task that it made ready. So an event that is added later has a higher id,
 * and "what came after id n" needs no memory but the database.
 */
export function deriveRunEvents(run: string, course: RunCourse): RunEvents {
  const { tasks, proofs, verifications, steps } = course;
  const events: RunEvent[] = [];
  const add = (id: number, name: RunEventName, at: Date, more: Partial<RunEvent["data"]> = {}) =>
    events.push({ id, name, data: { run, at: at.toISOString(), ...more } });

  add(SUBMITTED_ID, "submitted", course.submittedAt);
  const placed = new Set<string>();
  for (const [index, task] of tasks.entries()) {
    const base = (index + 1) * IDS_PER_TASK;
    const proof = proofs.find(({ tx }) => tx === task.proof);
    if (proof && !placed.has(proof.tx)) {
      placed.add(proof.tx);
      add(base, "proof", proof.at, { proof: proof.tx });
    }
    addAttempts(add, base, task);
  }
  // No task follows these: the Run has no further step, or this node runs none.
  const after = (tasks.length + 1) * IDS_PER_TASK;
  for (const [index, { tx, at }] of proofs.filter(({ tx }) => !placed.has(tx)).entries()) {
    add(after + Math.min(index, IDS_PER_TASK - 1), "proof", at, { proof: tx });
  }
  const verified = verifications[0];
  const failed = tasks.find((task) => task.failure !== null);
  const complete = verified !== undefined || (steps === 1 && proofs.length > 0);
  if (verified) add(LAST_ID, "verified", verified.at, { verification: verified.tx });
  else if (!complete && failed?.failure) {
    const { id: task, step, failure, endedAt } = failed;
    add(LAST_ID, "failed", endedAt ?? course.submittedAt, { task, step, failure });
  }
  return { events, ended: complete || failed !== undefined };
}

function addAttempts(
  add: (id: number, name: RunEventName, at: Date, more: Partial<RunEvent["data"]>) => void,
  base: number,
  task: CourseTask,
): void {
  for (const { number, startedAt, bootedAt, programStartedAt } of task.attempts) {
    const id = base + Math.min(number, MAX_NUMBERED_ATTEMPT) * IDS_PER_ATTEMPT;
    const more = { task: task.id, step: task.step, attempt: number };
    add(id, "scheduled", startedAt, more);
    // The two are noted independently, and a provider without VMs tells only the second.
    const started = bootedAt ?? programStartedAt;
    if (started) add(id + 1, "vm-started", started, more);
    const name = task.kind === "proof" ? "proving" : "verifying";
    if (programStartedAt) add(id + 2, name, programStartedAt, more);
  }
}
