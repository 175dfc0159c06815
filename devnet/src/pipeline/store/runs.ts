import type { Database, Queryable } from "../../store/database.ts";
import type { RunShape, SegmentCount } from "../plan/planTasks.ts";
import { RUN_STATUS } from "./statuses.ts";

/** A row of `stage_task`. */
export interface PipelineRun {
  readonly id: string;
  /** The user's address, EIP-55 without `0x`. */
  readonly address: string;
  readonly status: number;
  readonly step: number;
  readonly context: RunContext;
  readonly shape: RunShape;
  readonly requestHash: string;
  readonly segments: SegmentCount;
  readonly totalSteps: bigint | null;
  readonly priority: number;
  /** How many of its tasks may run at once; 0 means all. */
  readonly maxProvers: number;
  readonly deadlineAt: Date | null;
  readonly error: string | null;
  readonly result: string | null;
  readonly resultHash: string | null;
  /** Of an unfinished run the last sign of life, in seconds; of a finished one the milliseconds it took. */
  readonly checkAt: number;
  readonly createdAt: Date;
  readonly finishedAt: Date | null;
}

/** The existing service's `context`, with what its stages need to go on with a run. */
export interface RunContext {
  readonly proof_id: string;
  readonly program_id: string;
  readonly base_dir: string;
  readonly elf_path: string;
  readonly seg_path: string;
  readonly prove_path: string;
  readonly agg_path: string;
  readonly snark_path: string;
  readonly public_input_path: string;
  readonly private_input_path: string;
  readonly output_stream_path: string;
  readonly receipt_inputs_path: string;
  readonly receipts_path: string;
  /** A string where it is beyond what a JSON number holds exactly. */
  readonly block_no: number | string | null;
  readonly seg_size: number;
  readonly target_step: string;
  readonly from_step: string;
  readonly composite_proof: boolean;
  readonly single_node: boolean;
  readonly max_prover_num: number;
  readonly version: string;
  /** Ours: SHA-256 by path, for nodes that do not have this disk. */
  readonly files: Readonly<Record<string, string>>;
}

export interface NewRun
  extends Pick<
    PipelineRun,
    "id" | "address" | "step" | "context" | "shape" | "requestHash" | "priority" | "maxProvers" | "deadlineAt"
  > {}

/** @returns false where a run of that id is there already */
export async function insertRun(client: Queryable, run: NewRun): Promise<boolean> {
  const inserted = await client.query(
    `insert into stage_task
       (id, address, status, step, context, check_at, request_hash, shape, priority, max_provers, deadline_at)
     values ($1, $2, $3, $4, $5, extract(epoch from now())::bigint, $6, $7, $8, $9, $10)
     on conflict (id) do nothing`,
    [
      ...[run.id, run.address, RUN_STATUS.COMPUTING, run.step, JSON.stringify(run.context), run.requestHash],
      ...[JSON.stringify(run.shape), run.priority, run.maxProvers, run.deadlineAt],
    ],
  );
  return inserted.rowCount === 1;
}

const UNPLACED = `id = $1 and request_hash = $2 and finished_at is null
  and not exists (select 1 from prove_task where proof_id = stage_task.id)`;

/** Whether the same request is there, and has no tasks, as its data is not in place. */
export async function isUnplaced(
  client: Queryable,
  run: Pick<NewRun, "id" | "requestHash">,
): Promise<boolean> {
  const found = await client.query(`select 1 from stage_task where ${UNPLACED}`, [run.id, run.requestHash]);
  return found.rowCount === 1;
}

/** So that it can be submitted again. */
export async function removeUnplaced(
  database: Database,
  run: Pick<NewRun, "id" | "requestHash">,
): Promise<void> {
  await database.transaction(async (client) => {
    // Another call may just give it its tasks: only a statement that begins after that sees them.
    await client.query("select 1 from stage_task where id = $1 for update", [run.id]);
    await client.query(`delete from stage_task where ${UNPLACED}`, [run.id, run.requestHash]);
  });
}

export async function findRun(client: Queryable, id: string): Promise<PipelineRun | null> {
  const found = await client.query<RunRow>("select * from stage_task where id = $1", [id]);
  return found.rows[0] ? toRun(found.rows[0]) : null;
}

/** Of these tasks the runs that go on. */
export async function findRunsOfTasks(
  client: Queryable,
  taskIds: readonly string[],
): Promise<Map<string, PipelineRun>> {
  const found = await client.query<RunRow>(
    `select * from stage_task
     where finished_at is null and id in (select proof_id from prove_task where id = any ($1::text[]))`,
    [taskIds],
  );
  return new Map(found.rows.map((row) => [row.id, toRun(row)]));
}

/** One change of a run at a time: whoever holds the row decides what comes next. Null where it is finished or gone. */
export async function lockUnfinishedRun(client: Queryable, id: string): Promise<PipelineRun | null> {
  const found = await client.query<RunRow>(
    "select * from stage_task where id = $1 and finished_at is null for update",
    [id],
  );
  return found.rows[0] ? toRun(found.rows[0]) : null;
}

export async function setSegments(
  client: Queryable,
  id: string,
  segments: SegmentCount,
  totalSteps: bigint | null,
): Promise<void> {
  await client.query(
    `update stage_task set segments_known = $2, segments_total = $3, total_steps = coalesce($4, total_steps),
       updated_at = now() where id = $1`,
    [id, segments.known, segments.total, totalSteps],
  );
}

export async function setStep(client: Queryable, id: string, step: number): Promise<void> {
  await client.query(
    `update stage_task set step = $2, check_at = extract(epoch from now())::bigint, updated_at = now()
     where id = $1`,
    [id, step],
  );
}

export interface RunEnd {
  readonly status: number;
  readonly step: number;
  readonly error?: string;
  readonly result?: string;
  readonly resultHash?: string;
}

/** `check_at` of a finished run is the milliseconds it took, as the existing service has it. */
export async function finishRun(client: Queryable, id: string, end: RunEnd): Promise<void> {
  await client.query(
    `update stage_task set status = $2, step = $3, error = $4, result = $5, result_hash = $6, finished_at = now(),
       check_at = (extract(epoch from now() - created_at) * 1000)::bigint, updated_at = now()
     where id = $1`,
    [id, end.status, end.step, end.error ?? null, end.result ?? null, end.resultHash ?? null],
  );
}

/**
 * Why a run that is done can't end: its status says so. The last change of its row was when that was first so.
 * @returns whether it has been so for that many seconds
 */
export async function noteTrouble(
  client: Queryable,
  id: string,
  error: string,
  seconds: number,
): Promise<boolean> {
  const noted = await client.query<{ is_over: boolean }>(
    `update stage_task set error = $2, updated_at = case when error is null then now() else updated_at end
     where id = $1 returning updated_at < now() - make_interval(secs => $3) as is_over`,
    [id, error, seconds],
  );
  return noted.rows[0]?.is_over === true;
}

/**
 * A run that failed or was cancelled goes on. It has its time once more, where it was given one.
 * @returns null where it goes on already, succeeded, or has no tasks, as its data was never in place
 */
export async function reopenRun(client: Queryable, id: string): Promise<PipelineRun | null> {
  const reopened = await client.query<RunRow>(
    `update stage_task set status = $2, step = 0, error = null, finished_at = null,
       deadline_at = now() + (deadline_at - coalesce(retried_at, created_at)), retried_at = now(),
       updated_at = now(), check_at = extract(epoch from now())::bigint
     where id = $1 and finished_at is not null and status <> $3
       and exists (select 1 from prove_task where proof_id = stage_task.id) returning *`,
    [id, RUN_STATUS.COMPUTING, RUN_STATUS.SUCCESS],
  );
  return reopened.rows[0] ? toRun(reopened.rows[0]) : null;
}

export interface RunRow {
  readonly id: string;
  readonly address: string;
  readonly status: number;
  readonly step: number;
  readonly context: string;
  readonly result: string | null;
  readonly check_at: string;
  readonly created_at: Date;
  readonly request_hash: string;
  readonly shape: RunShape;
  readonly segments_known: number;
  readonly segments_total: number | null;
  readonly total_steps: string | null;
  readonly priority: number;
  readonly max_provers: number;
  readonly deadline_at: Date | null;
  readonly error: string | null;
  readonly result_hash: string | null;
  readonly finished_at: Date | null;
}

export function toRun(row: RunRow): PipelineRun {
  return {
    id: row.id,
    address: row.address,
    status: row.status,
    step: row.step,
    context: JSON.parse(row.context) as RunContext,
    shape: row.shape,
    requestHash: row.request_hash,
    segments: { known: row.segments_known, total: row.segments_total },
    totalSteps: row.total_steps === null ? null : BigInt(row.total_steps),
    priority: row.priority,
    maxProvers: row.max_provers,
    deadlineAt: row.deadline_at,
    error: row.error,
    result: row.result,
    resultHash: row.result_hash,
    checkAt: Number(row.check_at),
    createdAt: row.created_at,
    finishedAt: row.finished_at,
  };
}
