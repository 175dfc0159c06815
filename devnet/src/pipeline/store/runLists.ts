import type { Queryable } from "../../store/database.ts";
import type { TaskKind } from "../plan/planTasks.ts";
import { type PipelineRun, type RunRow, toRun } from "./runs.ts";
import { RUN_STATUS, TASK_STATUS, taskKindOf } from "./statuses.ts";

export interface RunListOptions {
  /** The user's address. */
  readonly address: string;
  /** Only those that go on, or only those that are over. */
  readonly isFinished?: boolean;
  readonly limit: number;
  /** Runs created before this one. */
  readonly before?: string;
}

/** A user's runs, the newest first. */
export async function listRuns(client: Queryable, options: RunListOptions): Promise<PipelineRun[]> {
  const found = await client.query<RunRow>(
    `select * from stage_task as run where lower(address) = lower($1)
       and ($2::bool is null or (finished_at is not null) = $2)
       and ($3::text is null or (created_at, id) < (select created_at, id from stage_task where id = $3))
     order by created_at desc, id desc limit $4`,
    [options.address, options.isFinished ?? null, options.before ?? null, options.limit],
  );
  return found.rows.map(toRun);
}

/** A task as people look at it. */
export interface TaskView {
  readonly id: string;
  readonly key: string;
  readonly kind: TaskKind;
  readonly state: "waiting" | "ready" | "running" | "done" | "failed";
  readonly node: string | null;
  /** Of a finished task how long it took, of a running one how long it runs. */
  readonly seconds: number | null;
  readonly failures: number;
  readonly error: string | null;
  /** SHA-256 of what it made; of a composite proof the receipts are such. */
  readonly output: string | null;
}

const STATES = ["waiting", "ready", "running", "done", "failed"] as const;

export async function listTasks(client: Queryable, proofId: string): Promise<TaskView[]> {
  const found = await client.query<{
    id: string;
    key: string;
    itype: number;
    status: number;
    node_info: string | null;
    seconds: number | null;
    failures: number;
    error: string | null;
    output: string | null;
  }>(
    `select id, key, itype, status, node_info, failures, error, output_hash as output,
       extract(epoch from coalesce(finished_at, case when status = ${TASK_STATUS.running} then now() end) - started_at)::float
         as seconds
     from prove_task where proof_id = $1 order by created_at, length(key), key`,
    [proofId],
  );
  return found.rows.map(({ itype, status, node_info: node, ...row }) => ({
    ...row,
    kind: taskKindOf(itype),
    state: STATES[status]!,
    node,
  }));
}

const NEWEST_RUNS = 100;
const ENOUGH_RUNS = 3;

/** How many seconds a task of a kind took: in the newest runs of a program, else in the newest of any. */
export async function readUsualSeconds(client: Queryable, programId: string): Promise<Map<string, number>> {
  const found = await client.query<{ itype: number; seconds: number }>(
    `with newest as (
       select id, context, finished_at from stage_task where status = ${RUN_STATUS.SUCCESS}
       order by finished_at desc limit ${NEWEST_RUNS}),
     judged as (select *, context::jsonb ->> 'program_id' = $1 as is_same from newest),
     chosen as (
       select id from judged where is_same = (select bool_or(is_same) from judged)
       order by finished_at desc limit ${ENOUGH_RUNS})
     select itype, avg(extract(epoch from finished_at - started_at))::float as seconds from prove_task
     where proof_id in (select id from chosen) and status = ${TASK_STATUS.done} and finished_at >= started_at
     group by itype`,
    [programId],
  );
  return new Map(found.rows.map(({ itype, seconds }) => [taskKindOf(itype), seconds]));
}
