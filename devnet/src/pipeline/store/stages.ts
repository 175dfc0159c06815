import type { Queryable } from "../../store/database.ts";
import { TASK_STATUS } from "./statuses.ts";
import { type PipelineTask, type TaskRow, toTask } from "./tasks.ts";

/** A stage that does not beat for so long is gone. */
export const SILENT_SECONDS = 15;
/** Longer than a short task of another stage's node takes, which may be busy. */
const LEFT_TO_OTHERS_SECONDS = 30;

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

/**
 * Of tasks that failed at all nodes of this stage that can do them those that are left to other stages, which may have others:
 * until so many seconds after the last failure.
 */
export async function readLeftToOthers(
  client: Queryable,
  stageId: string,
  taskIds: readonly string[],
): Promise<ReadonlySet<string>> {
  if (taskIds.length === 0) return new Set();
  const found = await client.query<{ id: string }>(
    `select task_id as id from pipeline_attempt where task_id = any ($2::text[]) and exists (
       select 1 from pipeline_stage where id <> $1 and seen_at > now() - make_interval(secs => $3))
     group by task_id having max(finished_at) > now() - make_interval(secs => $4)`,
    [stageId, taskIds, SILENT_SECONDS, LEFT_TO_OTHERS_SECONDS],
  );
  return new Set(found.rows.map(({ id }) => id));
}

export async function removeStage(client: Queryable, id: string): Promise<void> {
  await client.query("delete from pipeline_stage where id = $1", [id]);
}

/** Of `task`: it runs at a stage that is silent for $1 seconds, or at the stage $2, which does not hold it ($3). */
export const ORPHANED = `status = ${TASK_STATUS.running} and
  case when stage_id = $2::text then id <> all ($3::text[]) else not exists (
    select 1 from pipeline_stage as stage
    where stage.id = task.stage_id and stage.seen_at > now() - make_interval(secs => $1)) end`;

/**
 * Tasks that run at stages which are gone or silent for so long, and those that the stage which asks does not hold: the
 * database went away while they started or ended.
 */
export async function readOrphanedTasks(
  client: Queryable,
  asks: { readonly stageId: string; readonly held: readonly string[] },
): Promise<PipelineTask[]> {
  const found = await client.query<TaskRow>(`select task.* from prove_task as task where ${ORPHANED}`, [
    ...[SILENT_SECONDS, asks.stageId, asks.held],
  ]);
  return found.rows.map(toTask);
}
