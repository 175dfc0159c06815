import type { Queryable } from "../../store/database.ts";
import type { TaskKind } from "../plan/planTasks.ts";
import type { Release, RunLoad } from "../schedule/chooseReleases.ts";
import type { QueueHead } from "../schedule/orderKinds.ts";
import type { QueuedTask } from "../schedule/taskQueue.ts";
import { TASK_STATUS, TASK_TYPE, taskKindOf } from "./statuses.ts";

export interface QueueLevel {
  /** Tasks in the queue that can be claimed now. */
  readonly queued: number;
  /** There are tasks that can start and are not in the queue. */
  readonly hasMore: boolean;
  /** Some of those go before all that are in the queue. */
  readonly hasUrgent: boolean;
  /** The one in the queue that goes first: its run's priority, and since when it is there. Null where there is none. */
  readonly head: QueueHead | null;
}

/** Not delayed after a setback. */
const CLAIMABLE = "(task.not_before is null or task.not_before <= now())";

export async function readQueueLevels(
  client: Queryable,
  kinds: readonly TaskKind[],
): Promise<ReadonlyMap<TaskKind, QueueLevel>> {
  const found = await client.query<{
    itype: number;
    queued: number;
    has_more: boolean;
    has_urgent: boolean;
    priority: number | null;
    queued_at: Date | null;
  }>(
    `select itype, head.priority, head.queued_at,
       (select count(*)::int from prove_task as task
        where task.itype = kind.itype and status = ${TASK_STATUS.ready} and is_queued and ${CLAIMABLE}) as queued,
       exists (select 1 from prove_task as task
        where task.itype = kind.itype and status = ${TASK_STATUS.ready} and not is_queued) as has_more,
       exists (select 1 from stage_task as run
        where run.finished_at is null and run.priority > head.priority and exists (
          select 1 from prove_task as task
          where task.itype = kind.itype and proof_id = run.id and status = ${TASK_STATUS.ready} and not is_queued)) as has_urgent
     from unnest($1::int[]) as kind (itype)
     left join lateral (
       select run.priority, task.queued_at from prove_task as task join stage_task as run on run.id = task.proof_id
       where task.itype = kind.itype and task.status = ${TASK_STATUS.ready} and is_queued and ${CLAIMABLE}
       order by run.priority desc, task.queued_at limit 1) as head on true`,
    [kinds.map((kind) => TASK_TYPE[kind])],
  );
  return new Map(
    found.rows.map(
      ({ itype, queued, has_more: hasMore, has_urgent: hasUrgent, priority, queued_at: since }) => [
        taskKindOf(itype),
        {
          queued,
          hasMore,
          hasUrgent,
          head: since === null ? null : { priority: priority!, since: since.getTime() },
        },
      ],
    ),
  );
}

/** Of all stages one at a time decides what enters the queue, so that a run's cap is kept. */
export async function lockReleases(client: Queryable): Promise<void> {
  await client.query("select pg_advisory_xact_lock(hashtext('gevulot pipeline releases'))");
}

/** All runs that have tasks which can start or run. */
export async function readOpenWork(client: Queryable): Promise<RunLoad[]> {
  const found = await client.query<{
    proof_id: string;
    itype: number;
    ready: number;
    in_flight: number;
    address: string;
    priority: number;
    max_provers: number;
    created_at: Date;
  }>(
    // Each half has an index of its own: migration 002.
    `select open.*, run.address, run.priority, run.max_provers, run.created_at
     from (select proof_id, itype, sum(ready)::int as ready, sum(in_flight)::int as in_flight
           from (select proof_id, itype, count(*) as ready, 0 as in_flight
                 from prove_task where status = ${TASK_STATUS.ready} and not is_queued group by itype, proof_id
                 union all
                 select proof_id, itype, 0, count(*) from prove_task
                 where status = ${TASK_STATUS.running} or (status = ${TASK_STATUS.ready} and is_queued)
                 group by proof_id, itype) as half
           group by proof_id, itype) as open
     join stage_task as run on run.id = open.proof_id where run.finished_at is null`,
  );
  const runs = new Map<string, RunLoad & { readonly ready: Map<TaskKind, number> }>();
  for (const row of found.rows) {
    const known = runs.get(row.proof_id);
    const ready = known?.ready ?? new Map<TaskKind, number>();
    ready.set(taskKindOf(row.itype), row.ready);
    runs.set(row.proof_id, {
      runId: row.proof_id,
      user: row.address,
      priority: row.priority,
      maxInFlight: row.max_provers,
      createdAt: row.created_at.getTime(),
      ready,
      inFlight: (known?.inFlight ?? 0) + row.in_flight,
    });
  }
  return [...runs.values()];
}

/**
 * Marks the chosen tasks as queued, the earliest of each run first, and gives them back.
 * @returns of each kind of them the one that goes first
 */
export async function takeReleases(
  client: Queryable,
  releases: readonly Release[],
  add: (client: Queryable, tasks: readonly QueuedTask[]) => Promise<void>,
): Promise<ReadonlyMap<TaskKind, QueueHead>> {
  if (releases.length === 0) return new Map();
  const taken = await client.query<{ id: string; itype: number; priority: number; queued_at: Date }>(
    `with chosen as (
         select task.id from unnest($1::text[], $2::int[], $3::int[]) as release (run, itype, count),
           lateral (select id from prove_task
                    where proof_id = release.run and prove_task.itype = release.itype
                      and status = ${TASK_STATUS.ready} and not is_queued
                    order by created_at, length(key), key limit release.count
                    for update skip locked) as task)
       update prove_task set is_queued = true, queued_at = now() from chosen, stage_task as run
       where prove_task.id = chosen.id and run.id = prove_task.proof_id
       returning prove_task.id, prove_task.itype, run.priority, prove_task.queued_at`,
    [
      releases.map((release) => release.runId),
      releases.map((release) => TASK_TYPE[release.kind]),
      releases.map((release) => release.count),
    ],
  );
  const tasks = taken.rows.map(({ id, itype, priority }) => ({ id, kind: taskKindOf(itype), priority }));
  if (tasks.length > 0) await add(client, tasks);
  const heads = taken.rows
    .sort((left, right) => left.priority - right.priority)
    .map(({ itype, priority, queued_at: since }): [TaskKind, QueueHead] => [
      taskKindOf(itype),
      { priority, since: since.getTime() },
    ]);
  return new Map(heads);
}
