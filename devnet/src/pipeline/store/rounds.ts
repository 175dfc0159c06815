import type { Queryable } from "../../store/database.ts";
import type { TaskKind } from "../plan/planTasks.ts";
import { ORPHANED, SILENT_SECONDS } from "./stages.ts";
import { TASK_STATUS, TASK_TYPE, taskKindOf } from "./statuses.ts";

export interface RoundAsk {
  readonly stageId: string;
  readonly addr: string;
  /** Tasks that the stage starts, watches or ends. */
  readonly held: readonly string[];
  /** Tasks that nodes say they work on, also those of other stages. */
  readonly heard: readonly string[];
}

export interface RoundFindings {
  /** Runs whose own deadline has passed. */
  readonly late: readonly string[];
  /** Runs that go on although all their tasks are done. */
  readonly complete: readonly string[];
  /** Runs without tasks, whose data a stage that died did not put in place long ago. */
  readonly unplaced: readonly string[];
  /** There are tasks that no stage watches: see readOrphanedTasks. */
  readonly hasOrphans: boolean;
  /** Of the held tasks those whose run is over, and those that are gone, as their run was retried or its split repeated. */
  readonly over: readonly string[];
  /** Of the heard tasks those whose run is over. */
  readonly unwanted: readonly string[];
  /** Kinds of which a task can start. */
  readonly ready: readonly TaskKind[];
}

const KINDS = Object.keys(TASK_TYPE) as TaskKind[];

/**
 * One round of a stage, in one statement: it says that it lives, its runs get the existing service's heartbeat, and it learns
 * what there is to do.
 */
export async function readRound(client: Queryable, ask: RoundAsk): Promise<RoundFindings> {
  const found = await client.query<{ what: string; ids: string[] }>(
    // A run that is being changed beats by that, or the next time.
    `with alive as (
       insert into pipeline_stage (id, addr) values ($2::text, $4::text)
       on conflict (id) do update set seen_at = now(), addr = excluded.addr),
     beat as (
       update stage_task set check_at = extract(epoch from now())::bigint
       where id in (select id from stage_task
                    where finished_at is null and check_at < extract(epoch from now())::bigint - 5
                    for update skip locked)),
     found (what, id) as (
       select 'late', id from stage_task where finished_at is null and deadline_at < now()
       union all
       select 'complete', id from stage_task as run where finished_at is null
         and not exists (select 1 from prove_task where proof_id = run.id and status <> ${TASK_STATUS.done})
         and exists (select 1 from prove_task where proof_id = run.id)
       union all
       select 'unplaced', id from stage_task as run where finished_at is null
         and created_at < now() - interval '1 hour' and not exists (select 1 from prove_task where proof_id = run.id)
       union all
       select 'orphan', '' where exists (select 1 from prove_task as task where ${ORPHANED})
       union all
       select 'over', id from unnest($3::text[]) as held (id) where not exists (
         select 1 from prove_task as task join stage_task as run on run.id = task.proof_id
         where task.id = held.id and run.finished_at is null)
       union all
       select 'unwanted', task.id from prove_task as task join stage_task as run on run.id = task.proof_id
         where task.id = any ($5::text[]) and run.finished_at is not null
       union all
       select 'ready', itype::text from unnest($6::int[]) as kind (itype) where
         exists (select 1 from prove_task as task
                 where task.itype = kind.itype and status = ${TASK_STATUS.ready} and is_queued)
         or exists (select 1 from prove_task as task
                    where task.itype = kind.itype and status = ${TASK_STATUS.ready} and not is_queued))
     select what, array_agg(id) as ids from found group by what`,
    [...[SILENT_SECONDS, ask.stageId, ask.held, ask.addr, ask.heard], KINDS.map((kind) => TASK_TYPE[kind])],
  );
  const ids = (what: string): readonly string[] => found.rows.find((row) => row.what === what)?.ids ?? [];
  return {
    late: ids("late"),
    complete: ids("complete"),
    unplaced: ids("unplaced"),
    hasOrphans: ids("orphan").length > 0,
    over: ids("over"),
    unwanted: ids("unwanted"),
    ready: ids("ready").map((itype) => taskKindOf(Number(itype))),
  };
}
