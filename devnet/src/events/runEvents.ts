import type { RunEventName, TaskFailure } from "gevulot-sdk";
import type { CourseResult, CourseTask, RunCourse } from "../store/readRunEvents.ts";

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
  /** By rising id. */
  readonly events: readonly RunEvent[];
  /** Places of tasks that have not ended: theirs may follow, also after those of higher places. */
  readonly open: ReadonlySet<number>;
  /** Nothing will follow. */
  readonly ended: boolean;
}

const SUBMITTED_ID = 1;
/** A task with its attempts, or a Proof. */
const IDS_PER_PLACE = 1_000;
const IDS_PER_ATTEMPT = 4;
/** The last attempts share the last ids; a task has three, but each stop of the node adds one. */
const MAX_NUMBERED_ATTEMPT = IDS_PER_PLACE / IDS_PER_ATTEMPT - 2;
const LAST_ID = 1_000_000_000;

export function placeOf(id: number): number {
  return Math.floor(id / IDS_PER_PLACE);
}

/** An id below those of the place's task. */
export function placeStart(place: number): number {
  return place * IDS_PER_PLACE;
}

/**
 * The events of a Run, from what is stored of it. Tasks and Proofs have places in the order in which they were added, a
 * Proof before the task that verifies it. So "what came after id n" needs no memory but the database. Only of tasks that
 * run side by side an event may be added that has a lower id than one that is there.
 */
export function deriveRunEvents(run: string, course: RunCourse): RunEvents {
  const { proofs, verifications, steps } = course;
  const events: RunEvent[] = [];
  const add = (id: number, name: RunEventName, at: Date, more: Partial<RunEvent["data"]> = {}) =>
    events.push({ id, name, data: { run, at: at.toISOString(), ...more } });

  add(SUBMITTED_ID, "submitted", course.submittedAt);
  const open = new Set<number>();
  for (const [index, { task, proof }] of placesOf(course).entries()) {
    const base = Math.min((index + 1) * IDS_PER_PLACE, LAST_ID - IDS_PER_PLACE);
    if (proof) add(base, "proof", proof.at, { proof: proof.tx });
    if (task) addAttempts(add, base, task);
    if (task?.isOpen) open.add(placeOf(base));
  }
  const verified = verifications[0];
  const failed = failureOf(course);
  const complete = verified !== undefined || (steps === 1 && proofs.length > 0);
  if (verified) add(LAST_ID, "verified", verified.at, { verification: verified.tx });
  else if (!complete && failed) {
    const { task, failure, endedAt } = failed;
    add(LAST_ID, "failed", endedAt ?? course.submittedAt, {
      ...(task && { task }),
      step: failure.step,
      failure,
    });
  }
  return { events, open, ended: complete || failed !== null };
}

interface Place {
  readonly at: Date;
  readonly task: CourseTask | undefined;
  readonly proof: CourseResult | undefined;
}

function placesOf({ tasks, proofs }: RunCourse): readonly Place[] {
  const places: Place[] = [
    ...proofs.map((proof) => ({ at: proof.at, proof, task: undefined })),
    ...tasks.map((task) => ({ at: task.knownAt, task, proof: undefined })),
  ];
  // The order is stable: of one commit, a Proof comes before the task that it made ready.
  return places.sort((a, b) => a.at.getTime() - b.at.getTime());
}

function failureOf({ shared, tasks }: RunCourse) {
  if (shared !== null) {
    return shared.failure && { failure: shared.failure, endedAt: shared.endedAt, task: undefined };
  }
  const task = tasks.find(({ isHeard, failure }) => !isHeard && failure !== null);
  return task?.failure ? { failure: task.failure, endedAt: task.endedAt, task: task.id } : null;
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
