import { randomUUID } from "node:crypto";
import type { Queryable } from "../../store/database.ts";
import type { PlannedTask, TaskKind } from "../plan/planTasks.ts";
import { TASK_STATUS, TASK_TYPE, taskKindOf } from "./statuses.ts";

/** A row of `prove_task`: a node of a run's graph. */
export interface PipelineTask {
  /** A UUID, the `computed_request_id` on the wire. It stays over every crash; a retry of the run gives a new one. */
  readonly id: string;
  readonly proofId: string;
  readonly kind: TaskKind;
  readonly planned: PlannedTask;
  /** SHA-256 of the segment, for proves. */
  readonly inputHash: string | null;
  readonly outputHash: string | null;
  /** The node that works on it, or did last. */
  readonly node: string | null;
  readonly failures: number;
  readonly losses: number;
  /** Nodes on which it failed. */
  readonly notOn: readonly string[];
  /** How often it was started; answers of an earlier start than the last change nothing. */
  readonly attempt: number;
  /** Since when nodes answer nothing but BUSY. */
  readonly busySince: Date | null;
}

/** What the queue knows of a task. */
export type TaskRef = Pick<PipelineTask, "id" | "kind">;

/**
 * Adds planned tasks; those that take nothing, or only what is there, can start at once.
 * @param inputs SHA-256 by key, for tasks that take a segment
 */
export async function insertTasks(
  client: Queryable,
  proofId: string,
  planned: readonly PlannedTask[],
  inputs: ReadonlyMap<string, string>,
): Promise<void> {
  if (planned.length === 0) return;
  await client.query(
    `insert into prove_task (id, proof_id, itype, status, content, key, needs, input_hash)
     select id, $1, itype, case when cardinality(need.keys) = 0 then ${TASK_STATUS.ready} else ${TASK_STATUS.waiting} end,
       content, key, need.keys, input
     from unnest($2::text[], $3::int[], $4::text[], $5::text[], $6::text[])
       as planned (id, itype, content, key, input),
       lateral (select coalesce(array_agg(value), '{}') as keys
                from jsonb_array_elements_text(content::jsonb -> 'needs')) as need
     on conflict (proof_id, key) do nothing`,
    [
      proofId,
      planned.map(() => randomUUID()),
      planned.map((task) => TASK_TYPE[task.kind]),
      planned.map((task) => JSON.stringify(task)),
      planned.map((task) => task.key),
      planned.map((task) => inputs.get(task.key) ?? null),
    ],
  );
  const keys = planned.filter((task) => task.needs.length > 0).map((task) => task.key);
  if (keys.length > 0) await readyTasks(client, proofId, keys);
}

/** Makes those waiting tasks ready whose inputs are all there: of these, or of all. */
async function readyTasks(
  client: Queryable,
  proofId: string,
  keys: readonly string[] | "all",
): Promise<void> {
  await client.query(
    `update prove_task as task set status = ${TASK_STATUS.ready}, updated_at = now()
     where proof_id = $1 and status = ${TASK_STATUS.waiting} and ($2::text[] is null or key = any ($2::text[]))
       and not exists (
         select 1 from unnest(task.needs) as need (key)
         left join prove_task as input on input.proof_id = $1 and input.key = need.key
         where input.status is distinct from ${TASK_STATUS.done})`,
    [proofId, keys === "all" ? null : keys],
  );
}

/** Begins tasks on nodes. */
export async function startTasks(
  client: Queryable,
  stageId: string,
  places: readonly { readonly id: string; readonly node: string }[],
): Promise<void> {
  if (places.length === 0) return;
  await client.query(
    `with started as (
       update prove_task set status = ${TASK_STATUS.running}, stage_id = $1, node_info = place.node, started_at = now(),
         attempt = attempt + 1, not_before = null, check_at = extract(epoch from now())::bigint, updated_at = now()
       from unnest($2::text[], $3::text[]) as place (id, node) where prove_task.id = place.id
       returning prove_task.id, place.node)
     insert into pipeline_attempt (task_id, node) select id, node from started`,
    [stageId, places.map((place) => place.id), places.map((place) => place.node)],
  );
}

export interface DoneTask {
  readonly id: string;
  /** SHA-256 of its output. */
  readonly hash: string;
  readonly bytes: number;
  /** How long it ran; null where only its start is known. */
  readonly ranMs: number | null;
}

/** What becomes of a run as tasks of it are done. */
export interface Completion {
  /** Those that were not done already: a second answer changes nothing. */
  readonly done: ReadonlySet<string>;
  /** Whether the run has tasks that are not done. */
  readonly isOpen: boolean;
}

/** Stores outputs of a run's tasks, and makes ready what waited for them alone. */
export async function completeTasks(
  client: Queryable,
  proofId: string,
  tasks: readonly DoneTask[],
): Promise<Completion> {
  const { rows } = await client.query<{ ids: string[]; is_open: boolean }>(
    `with given as (
       select given.*, greatest(started_at, now() - make_interval(secs => ran_ms / 1000)) as since
       from unnest($1::text[], $2::text[], $3::bigint[], $4::float8[]) as given (id, hash, bytes, ran_ms)
       join prove_task as task on task.id = given.id),
     ended as (
       update pipeline_attempt set finished_at = now(), outcome = 'done', error = null
       where task_id = any ($1) and finished_at is null),
     done as (
       update prove_task as task set status = ${TASK_STATUS.done}, output_hash = hash, output_bytes = given.bytes,
         started_at = since, finished_at = now(), time_cost = extract(epoch from now() - since)::int, error = null,
         updated_at = now()
       from given where task.id = given.id and status in (${TASK_STATUS.ready}, ${TASK_STATUS.running})
       returning task.id, task.key),
     readied as (
       update prove_task as task set status = ${TASK_STATUS.ready}, updated_at = now()
       where proof_id = $5 and status = ${TASK_STATUS.waiting} and needs && (select array_agg(key)::text[] from done)
         and not exists (
           select 1 from unnest(task.needs) as need (key)
           left join prove_task as input on input.proof_id = $5 and input.key = need.key
           where input.status is distinct from ${TASK_STATUS.done} and need.key not in (select key from done)))
     select array(select id from done) as ids, exists (
       select 1 from prove_task
       where proof_id = $5 and status <> ${TASK_STATUS.done} and id not in (select id from done)) as is_open`,
    [
      tasks.map((task) => task.id),
      tasks.map((task) => task.hash),
      tasks.map((task) => task.bytes),
      tasks.map((task) => task.ranMs),
      proofId,
    ],
  );
  const [row] = rows;
  return { done: new Set(row!.ids), isOpen: row!.is_open };
}

export interface TaskSetback {
  /**
   * `failed`: the node says so; `late`: no answer in time; `lost`: the node is gone; `busy`: it had no room; `unwatched`:
   * the stage that waited for the answer is gone, so the node may have it.
   */
  readonly outcome: "failed" | "late" | "lost" | "busy" | "unwatched";
  readonly error: string;
  readonly node: string;
}

/**
 * Puts a task back so that it starts again after a delay, elsewhere where it failed or found no room.
 * @returns false where that start of it is over already
 */
export async function putTaskBack(
  client: Queryable,
  task: Pick<PipelineTask, "id" | "attempt">,
  setback: TaskSetback,
  delayMs: number,
): Promise<boolean> {
  const { outcome, error, node } = setback;
  const isFailure = outcome === "failed" || outcome === "late";
  const put = await client.query(
    `update prove_task set status = ${TASK_STATUS.ready}, stage_id = null, error = $3, updated_at = now(), queued_at = now(),
       not_before = now() + make_interval(secs => $4), failures = failures + $5, losses = losses + $6,
       not_on = case when $5 = 1 and not $7 = any (not_on) then not_on || $7::text else not_on end,
       busy_since = case when $8 then coalesce(busy_since, now()) end,
       node_info = case when $8 then null else node_info end
     where id = $1 and status = ${TASK_STATUS.running} and attempt = $2`,
    [
      ...[task.id, task.attempt, error, delayMs / 1_000, isFailure ? 1 : 0, outcome === "lost" ? 1 : 0],
      ...[node, outcome === "busy"],
    ],
  );
  if (put.rowCount === 0) return false;
  await endAttempt(client, task.id, outcome, error);
  return true;
}

/** @returns false where that start of the task is over already */
export async function failTask(
  client: Queryable,
  task: Pick<PipelineTask, "id" | "attempt">,
  setback: TaskSetback,
): Promise<boolean> {
  const failed = await client.query(
    `update prove_task set status = ${TASK_STATUS.failed}, is_queued = false, error = $3, finished_at = now(),
       updated_at = now()
     where id = $1 and status = ${TASK_STATUS.running} and attempt = $2`,
    [task.id, task.attempt, setback.error],
  );
  if (failed.rowCount === 0) return false;
  await endAttempt(client, task.id, setback.outcome, setback.error);
  return true;
}

async function endAttempt(
  client: Queryable,
  id: string,
  outcome: string,
  error: string | null,
): Promise<void> {
  await client.query(
    `update pipeline_attempt set finished_at = now(), outcome = $2, error = $3
     where task_id = $1 and finished_at is null`,
    [id, outcome, error],
  );
}

/** What can start or runs when its run ends will not: a retry of the run begins with it again. */
export async function closeTasks(client: Queryable, proofId: string): Promise<void> {
  await client.query(
    `with closed as (
       update prove_task set status = ${TASK_STATUS.waiting}, is_queued = false, not_before = null, stage_id = null,
         updated_at = now()
       where proof_id = $1 and status in (${TASK_STATUS.ready}, ${TASK_STATUS.running}) returning id)
     update pipeline_attempt set finished_at = now(), outcome = 'ended'
     where task_id in (select id from closed) and finished_at is null`,
    [proofId],
  );
}

/** A run's tasks that can start or run. */
export async function readOpenTasks(client: Queryable, proofId: string): Promise<PipelineTask[]> {
  const found = await client.query<TaskRow>(
    `select * from prove_task where proof_id = $1 and status in (${TASK_STATUS.ready}, ${TASK_STATUS.running})`,
    [proofId],
  );
  return found.rows.map(toTask);
}

/** A done task whose output turned out to be wrong: it counts as failed, on that node. */
export async function discardOutput(client: Queryable, task: PipelineTask, error: string): Promise<void> {
  await client.query(
    `update prove_task set status = ${TASK_STATUS.failed}, output_hash = null, error = $2, updated_at = now(),
       not_on = not_on || $3::text
     where id = $1`,
    [task.id, error, task.node ?? ""],
  );
}

/**
 * Everything that is not done starts again, and what was made of an output that is gone. Under new ids: a node may have an
 * answer to the old one that was made of a wrong input, or a call that still goes on.
 * @returns as which the queue knows them
 */
export async function reopenTasks(client: Queryable, proofId: string): Promise<TaskRef[]> {
  const reopened = await client.query<{ id: string; itype: number }>(
    // By a list of edges, which is joined by hashes: each task's needs alone would be looked through for each open task.
    `with recursive edge (key, input) as materialized (
       select key, unnest(needs) from prove_task where proof_id = $1),
     open (key) as (
       select key from prove_task where proof_id = $1 and status <> ${TASK_STATUS.done}
       union
       select edge.key from edge join open on edge.input = open.key),
     old as (select id from prove_task where proof_id = $1 and key in (select key from open))
     update prove_task as task set id = gen_random_uuid()::text, status = ${TASK_STATUS.waiting}, is_queued = false,
       not_before = null, stage_id = null, node_info = null, failures = 0, losses = 0, busy_since = null, error = null,
       output_hash = null, finished_at = null, updated_at = now()
     from old where task.id = old.id returning old.id, itype`,
    [proofId],
  );
  await readyTasks(client, proofId, "all");
  return reopened.rows.map(toRef);
}

/** In the order in which they were made. */
export async function readDoneTasks(client: Queryable, proofId: string): Promise<PipelineTask[]> {
  const found = await client.query<TaskRow>(
    `select * from prove_task where proof_id = $1 and status = ${TASK_STATUS.done} order by finished_at`,
    [proofId],
  );
  return found.rows.map(toTask);
}

/** SHA-256 of a done task's output, or null. */
export async function readOutputHash(
  client: Queryable,
  proofId: string,
  key: string,
): Promise<string | null> {
  const found = await client.query<{ output_hash: string | null }>(
    "select output_hash from prove_task where proof_id = $1 and key = $2",
    [proofId, key],
  );
  return found.rows[0]?.output_hash ?? null;
}

/** Of these kinds those of which a task of a run can start. */
export async function readReadyKinds(
  client: Queryable,
  kinds: readonly TaskKind[],
  proofId: string,
): Promise<TaskKind[]> {
  const found = await client.query<{ itype: number }>(
    `select itype from unnest($1::int[]) as kind (itype) where exists (
       select 1 from prove_task as task
       where task.itype = kind.itype and status = ${TASK_STATUS.ready} and proof_id = $2)`,
    [kinds.map((kind) => TASK_TYPE[kind]), proofId],
  );
  return found.rows.map(({ itype }) => taskKindOf(itype));
}

export async function hasUnfinishedTasks(client: Queryable, proofId: string): Promise<boolean> {
  const found = await client.query(
    `select 1 from prove_task where proof_id = $1 and status <> ${TASK_STATUS.done} limit 1`,
    [proofId],
  );
  return found.rowCount === 1;
}

/** They are behind the others of the queue again, and nobody gets them before the delay is over. */
export async function requeueTasks(
  client: Queryable,
  ids: readonly string[],
  delayMs: number,
): Promise<void> {
  if (ids.length === 0) return;
  await client.query(
    "update prove_task set queued_at = now(), not_before = now() + make_interval(secs => $2) where id = any ($1)",
    [ids, delayMs / 1_000],
  );
}

/** Of these tasks those that can start, in that order, with their rows locked. */
export async function lockReadyTasks(client: Queryable, ids: readonly string[]): Promise<PipelineTask[]> {
  const found = await client.query<TaskRow>(
    `select * from prove_task where id = any ($1::text[]) and status = ${TASK_STATUS.ready}
     order by array_position($1::text[], id::text) for update`,
    [ids],
  );
  return found.rows.map(toTask);
}

/** A task's inputs: the outputs of what it needs, in order. */
export async function readInputs(client: Queryable, task: PipelineTask): Promise<PipelineTask[]> {
  const found = await client.query<TaskRow>(
    "select * from prove_task where proof_id = $1 and key = any ($2) order by array_position($2, key::text)",
    [task.proofId, task.planned.needs],
  );
  return found.rows.map(toTask);
}

export interface TaskRow {
  readonly id: string;
  readonly proof_id: string;
  readonly itype: number;
  readonly status: number;
  readonly content: string;
  readonly input_hash: string | null;
  readonly output_hash: string | null;
  readonly node_info: string | null;
  readonly failures: number;
  readonly losses: number;
  readonly not_on: string[];
  readonly attempt: number;
  readonly busy_since: Date | null;
}

export function toRef({ id, itype }: { readonly id: string; readonly itype: number }): TaskRef {
  return { id, kind: taskKindOf(itype) };
}

export function toTask(row: TaskRow): PipelineTask {
  return {
    id: row.id,
    proofId: row.proof_id,
    kind: taskKindOf(row.itype),
    planned: JSON.parse(row.content) as PlannedTask,
    inputHash: row.input_hash,
    outputHash: row.output_hash,
    node: row.node_info,
    failures: row.failures,
    losses: row.losses,
    notOn: row.not_on,
    attempt: row.attempt,
    busySince: row.busy_since,
  };
}
