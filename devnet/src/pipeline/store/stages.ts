import type { Queryable } from "../../store/database.ts";
import { TASK_STATUS } from "./statuses.ts";
import { type PipelineTask, type TaskRow, toTask } from "./tasks.ts";

/** A stage that does not beat for so long is gone. */
const SILENT_SECONDS = 15;

/** A stage says that it lives. */
export async function beatStage(client: Queryable, id: string, addr: string): Promise<void> {
  await client.query(
    `insert into pipeline_stage (id, addr) values ($1, $2) on conflict (id) do update set seen_at = now(), addr = $2`,
    [id, addr],
  );
}

/** Takes the place of earlier processes of the same stage. */
export async function replaceStage(
  client: Queryable,
  id: string,
  { addr, baseId }: { readonly addr: string; readonly baseId: string },
): Promise<void> {
  await client.query("delete from pipeline_stage where addr = $1", [addr]);
  await client.query("insert into pipeline_stage (id, addr, base_id) values ($1, $2, $3)", [
    id,
    addr,
    baseId,
  ]);
}

/** A stage that lives and has another base folder than this one: its address, or null. */
export async function findOtherBase(
  client: Queryable,
  own: { readonly addr: string; readonly baseId: string },
): Promise<string | null> {
  const found = await client.query<{ addr: string }>(
    `select addr from pipeline_stage where base_id <> $1 and addr <> $2 and seen_at > now() - make_interval(secs => $3)
     limit 1`,
    [own.baseId, own.addr, SILENT_SECONDS],
  );
  return found.rows[0]?.addr ?? null;
}

export async function removeStage(client: Queryable, id: string): Promise<void> {
  await client.query("delete from pipeline_stage where id = $1", [id]);
}

/**
 * Tasks that run at stages which are gone or silent for so long, and those that the stage which asks does not hold: the
 * database went away while they started or ended.
 */
export async function readOrphanedTasks(
  client: Queryable,
  asks: { readonly stageId: string; readonly held: readonly string[] },
): Promise<PipelineTask[]> {
  const found = await client.query<TaskRow>(
    `select task.* from prove_task as task
     where status = ${TASK_STATUS.running} and case when stage_id = $2 then id <> all ($3::text[]) else not exists (
       select 1 from pipeline_stage as stage
       where stage.id = task.stage_id and stage.seen_at > now() - make_interval(secs => $1)) end`,
    [SILENT_SECONDS, asks.stageId, asks.held],
  );
  return found.rows.map(toTask);
}

/** Runs whose own deadline has passed. */
export async function readLateRuns(client: Queryable): Promise<string[]> {
  const found = await client.query<{ id: string }>(
    "select id from stage_task where finished_at is null and deadline_at < now()",
  );
  return found.rows.map((row) => row.id);
}

/** Of these tasks those whose run is over, and those that are gone, as their run was retried or its split repeated. */
export async function readOverTasks(client: Queryable, ids: readonly string[]): Promise<string[]> {
  if (ids.length === 0) return [];
  const found = await client.query<{ id: string }>(
    `select id from unnest($1::text[]) as held (id) where not exists (
       select 1 from prove_task as task join stage_task as run on run.id = task.proof_id
       where task.id = held.id and run.finished_at is null)`,
    [ids],
  );
  return found.rows.map((row) => row.id);
}

/** The existing service's heartbeat of a run. */
export async function beatRuns(client: Queryable): Promise<void> {
  // A run that is being changed beats by that, or the next time.
  await client.query(
    `update stage_task set check_at = extract(epoch from now())::bigint
     where id in (select id from stage_task
                  where finished_at is null and check_at < extract(epoch from now())::bigint - 5
                  for update skip locked)`,
  );
}
