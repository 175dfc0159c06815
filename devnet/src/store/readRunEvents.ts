import type { TaskFailure } from "gevulot-sdk";
import type { Queryable } from "./database.ts";
import { type HeardTask, readHeardTasks } from "./taskReports.ts";

/** What is stored of a Run's course, with times; lists are in the order in which their rows were added. */
export interface RunCourse {
  readonly submittedAt: Date;
  readonly steps: number;
  readonly tasks: readonly CourseTask[];
  /** How it ended where other nodes share it; null where it is this node's alone, and ends with its tasks. */
  readonly shared: { readonly failure: TaskFailure | null; readonly endedAt: Date | null } | null;
  readonly proofs: readonly CourseResult[];
  readonly verifications: readonly CourseResult[];
}

export interface CourseTask {
  readonly id: string;
  readonly step: number;
  readonly kind: "proof" | "verification";
  /** It is another node's, which reported it. */
  readonly isHeard: boolean;
  /** When this node had it in its queue, or first heard of it from the node that runs it. */
  readonly knownAt: Date;
  /** It waits or runs. */
  readonly isOpen: boolean;
  readonly endedAt: Date | null;
  readonly failure: TaskFailure | null;
  readonly attempts: readonly CourseAttempt[];
}

export interface CourseAttempt {
  readonly number: number;
  readonly startedAt: Date;
  readonly bootedAt: Date | null;
  readonly programStartedAt: Date | null;
}

export interface CourseResult {
  readonly tx: string;
  readonly at: Date;
}

/** @returns null where the hash is no Run that is stored here. */
export async function readRunCourse(database: Queryable, run: string): Promise<RunCourse | null> {
  const [submitted, tasks, attempts, results, shared, heard] = await Promise.all([
    database.query<{ at: Date; steps: number }>(
      `select created_at as at, (select count(*)::int from workflow_step where tx = hash) as steps
       from transaction where hash = $1 and kind = 'run'`,
      [run],
    ),
    database.query<Omit<CourseTask, "attempts" | "isHeard">>(
      `select id, step, kind, queued_at as "knownAt", ended_at as "endedAt", failure,
         state in ('queued', 'running') as "isOpen" from task where run = $1
       order by queued_at, step, id`,
      [run],
    ),
    database.query<CourseAttempt & { task: string }>(
      `select a.task, a.number, a.started_at as "startedAt", a.booted_at as "bootedAt",
         a.program_started_at as "programStartedAt"
       from task_attempt a join task on task.id = a.task where task.run = $1 order by a.number`,
      [run],
    ),
    database.query<CourseResult & { kind: "proof" | "verification" }>(
      `select t.hash as tx, t.kind::text as kind, t.created_at as at from transaction t
       where t.hash in (
         select tx from counted_proof where run = $1 union all select tx from counted_verification where run = $1)
       order by t.created_at, t.hash`,
      [run],
    ),
    database.query<{ failure: TaskFailure | null; endedAt: Date | null }>(
      `select failure, ended_at as "endedAt" from shared_run where run = $1`,
      [run],
    ),
    readHeardTasks(database, run),
  ]);
  const row = submitted.rows[0];
  if (!row) return null;
  const own = new Set(tasks.rows.map(({ id }) => id));
  const resultsOf = (kind: "proof" | "verification") => results.rows.filter((result) => result.kind === kind);
  return {
    submittedAt: row.at,
    steps: row.steps,
    shared: shared.rows[0] ?? null,
    tasks: [
      ...tasks.rows.map((task) => ({
        ...task,
        isHeard: false,
        attempts: attempts.rows.filter((attempt) => attempt.task === task.id),
      })),
      ...heard.filter(({ task }) => !own.has(task.id)).map(toCourseTask),
    ],
    proofs: resultsOf("proof"),
    verifications: resultsOf("verification"),
  };
}

function toCourseTask({ task, heardAt }: HeardTask): CourseTask {
  const { id, step, kind, failure } = task;
  const time = (text: string | null) => (text === null ? null : new Date(text));
  return {
    ...{ id, step, kind, failure, isHeard: true, knownAt: heardAt },
    isOpen: task.state === "queued" || task.state === "running",
    endedAt: time(task.attempts.at(-1)?.endedAt ?? null),
    attempts: task.attempts.map(({ number, startedAt, bootedAt, programStartedAt }) => ({
      number,
      startedAt: new Date(startedAt),
      bootedAt: time(bootedAt),
      programStartedAt: time(programStartedAt),
    })),
  };
}
