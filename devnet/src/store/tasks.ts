import { randomBytes } from "node:crypto";
import type { TaskAttempt, TaskFailure } from "gevulot-sdk";
import type { Queryable } from "./database.ts";

/** A step of a Run that this node is to run. */
export interface Task {
  readonly id: string;
  readonly run: string;
  readonly step: number;
  readonly kind: "proof" | "verification";
  readonly program: string;
  /** The Proof whose arrival made this step ready; null for step 0. */
  readonly proof: string | null;
  readonly queuedAt: Date;
  /** How many attempts were begun. */
  readonly attempts: number;
}

export type NewTask = Pick<Task, "run" | "step" | "kind" | "program" | "proof">;

/** `standby`: another node's turn, for now. */
export type NewTaskState = "queued" | "standby";

/** Adds tasks where they aren't there yet: a Proof that arrives twice makes one task. */
export async function insertTasks(
  client: Queryable,
  tasks: readonly NewTask[],
  state: NewTaskState = "queued",
): Promise<void> {
  if (tasks.length === 0) return;
  await client.query(
    `insert into task (id, run, step, kind, program, proof, state)
     select *, $7 from unnest($1::text[], $2::text[], $3::int[], $4::text[], $5::text[], $6::text[])
     on conflict (run, step, proof) do nothing`,
    [
      tasks.map(() => randomBytes(8).toString("hex")),
      tasks.map((task) => task.run),
      tasks.map((task) => task.step),
      tasks.map((task) => task.kind),
      tasks.map((task) => task.program),
      tasks.map((task) => task.proof),
      state,
    ],
  );
}

/** Of one program, that were looked at before and still wait, whatever for. */
const WAITING_OF_PROGRAM = 5;

/**
 * The tasks that wait, oldest first. Of those of one program that had to wait before only the first few: many that wait for
 * the same must not hide others that could run.
 */
export async function readQueuedTasks(database: Queryable, limit: number): Promise<Task[]> {
  const found = await database.query<TaskRow>(
    `select task.*, (select count(*)::int from task_attempt where task = task.id) as attempts
     from (select task.*, row_number() over (partition by program, waits_for is null order by queued_at, id) as place
           from task where state = 'queued') task
     where waits_for is null or place <= $2 order by queued_at, id limit $1`,
    [limit, WAITING_OF_PROGRAM],
  );
  return found.rows.map(toTask);
}

export interface NewAttempt {
  readonly provider: TaskAttempt["provider"];
  readonly accelerator: TaskAttempt["accelerator"];
  readonly imageChecksum: string;
}

/**
 * Claims a queued task for this process and begins its next attempt.
 * @returns the attempt's number from 1, or null where another took the task or it was cancelled.
 */
export async function beginAttempt(
  client: Queryable,
  task: Task,
  attempt: NewAttempt,
): Promise<number | null> {
  const claimed = await client.query(
    `select 1 from task where id = $1 and state = 'queued' for update skip locked`,
    [task.id],
  );
  if (claimed.rowCount === 0) return null;
  await client.query("update task set state = 'running', waits_for = null where id = $1", [task.id]);
  const inserted = await client.query<{ number: number }>(
    `insert into task_attempt (task, number, provider, accelerator, image_checksum, queued_at)
     select $1::varchar, coalesce(max(number), 0) + 1, $2, $3, $4, $5 from task_attempt where task = $1 returning number`,
    [task.id, attempt.provider, attempt.accelerator, attempt.imageChecksum, task.queuedAt],
  );
  return inserted.rows[0]?.number ?? null;
}

const STAGE_COLUMNS = {
  booted: "booted_at",
  program: "program_started_at",
  taskTaken: "task_taken_at",
  result: "result_at",
  leaving: "program_ended_at",
  gone: "vm_ended_at",
} as const;

export type AttemptStage = keyof typeof STAGE_COLUMNS;

export async function markAttemptSpawned(
  database: Queryable,
  id: string,
  number: number,
  { pid, vsock }: { readonly pid: number; readonly vsock: TaskAttempt["vsock"] },
  at: Date,
): Promise<void> {
  await database.query(
    "update task_attempt set pid = $3, vsock = $4, spawned_at = $5 where task = $1 and number = $2",
    [id, number, pid, vsock, at],
  );
}

export async function markAttemptStage(
  database: Queryable,
  id: string,
  number: number,
  stage: AttemptStage,
  at: Date,
): Promise<void> {
  await database.query(
    `update task_attempt set ${STAGE_COLUMNS[stage]} = $3 where task = $1 and number = $2`,
    [id, number, at],
  );
}

export interface AttemptUsage {
  readonly peakMemBytes: number | null;
  /** Null where there is no result. */
  readonly outputBytes: number | null;
}

export async function setAttemptUsage(
  database: Queryable,
  id: string,
  number: number,
  { peakMemBytes, outputBytes }: AttemptUsage,
): Promise<void> {
  await database.query(
    "update task_attempt set peak_mem_bytes = $3, output_bytes = $4 where task = $1 and number = $2",
    [id, number, peakMemBytes, outputBytes],
  );
}

export interface TaskEnd {
  readonly failure: TaskFailure | null;
  readonly consoleTail: string;
  /** Hash of the Proof or Verification; null where the task failed. */
  readonly result: string | null;
}

/** Ends an attempt and its task with it. A task that was cancelled meanwhile stays failed. */
export async function endTask(client: Queryable, id: string, number: number, end: TaskEnd): Promise<void> {
  await endAttempt(client, id, number, end.failure, end.consoleTail);
  await client.query(
    `update task set state = $2, result = $3, failure = $4, ended_at = now() where id = $1 and state = 'running'`,
    [id, end.failure ? "failed" : "done", end.result, end.failure ? JSON.stringify(end.failure) : null],
  );
}

export async function endAttempt(
  client: Queryable,
  id: string,
  number: number,
  failure: TaskFailure | null,
  consoleTail: string,
): Promise<void> {
  await client.query(
    `update task_attempt set ended_at = now(), failure = $3, console_tail = $4
     where task = $1 and number = $2 and ended_at is null`,
    [id, number, failure ? JSON.stringify(failure) : null, consoleTail],
  );
}

/** Fails a task that never got a VM, or whose attempts are used up. */
export async function failTask(client: Queryable, id: string, failure: TaskFailure): Promise<void> {
  await client.query(
    `update task set state = 'failed', waits_for = null, failure = $2, ended_at = now()
     where id = $1 and state in ('queued', 'running')`,
    [id, JSON.stringify(failure)],
  );
}

export async function requeueTask(client: Queryable, id: string): Promise<void> {
  await client.query("update task set state = 'queued' where id = $1 and state = 'running'", [id]);
}

/** Lets a task begin, or, while it hasn't, wait for the turn of another node to end. */
export async function setTurn(
  client: Queryable,
  work: Pick<Task, "run" | "step" | "proof">,
  isOwnTurn: boolean,
): Promise<void> {
  const [from, to] = isOwnTurn ? ["standby", "queued"] : ["queued", "standby"];
  await client.query(
    `update task set state = $5, waits_for = null,
       turn_at = case when $5 = 'queued' then coalesce(turn_at, now()) else turn_at end
     where run = $1 and step = $2 and proof is not distinct from $3 and state = $4`,
    [work.run, work.step, work.proof, from, to],
  );
}

/** Says why a task waits; shown in its status. */
export async function setWaitsFor(database: Queryable, id: string, waitsFor: string): Promise<void> {
  await database.query(
    "update task set waits_for = $2 where id = $1 and state = 'queued' and waits_for is distinct from $2",
    [id, waitsFor],
  );
}

/** The tasks that a process which is gone left running. */
export async function readRunningTasks(database: Queryable): Promise<Task[]> {
  const found = await database.query<TaskRow>(
    `select task.*, (select count(*)::int from task_attempt where task = task.id) as attempts
     from task where state = 'running'`,
  );
  return found.rows.map(toTask);
}

/** A task with its state, or null where it is not this node's. */
export async function readTask(
  database: Queryable,
  id: string,
): Promise<(Task & { readonly state: string }) | null> {
  const found = await database.query<TaskRow & { state: string }>(
    `select task.*, (select count(*)::int from task_attempt where task = task.id) as attempts
     from task where id = $1`,
    [id],
  );
  const row = found.rows[0];
  return row ? { ...toTask(row), state: row.state } : null;
}

/** Fails the tasks of a Run that have not ended. `failure.step` is each task's own. */
export async function failOpenTasks(
  client: Queryable,
  run: string,
  failure: Omit<TaskFailure, "step">,
): Promise<void> {
  await client.query(
    `update task set state = 'failed', waits_for = null, ended_at = now(),
       failure = $2::jsonb || jsonb_build_object('step', step)
     where run = $1 and state in ('queued', 'running')`,
    [run, JSON.stringify(failure)],
  );
}

/** Whether no task of a Run is begun any more: its author cancelled it, or it failed on all nodes. */
export async function isOver(client: Queryable, run: string): Promise<boolean> {
  const found = await client.query(
    `select 1 from cancel where run = $1
     union all select 1 from shared_run where run = $1 and failure is not null limit 1`,
    [run],
  );
  return (found.rowCount ?? 0) > 0;
}

interface TaskRow {
  id: string;
  run: string;
  step: number;
  kind: Task["kind"];
  program: string;
  proof: string | null;
  queued_at: Date;
  attempts: number;
}

function toTask(row: TaskRow): Task {
  const { id, run, step, kind, program, proof, attempts } = row;
  return { id, run, step, kind, program, proof, queuedAt: row.queued_at, attempts };
}
