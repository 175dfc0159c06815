import type { Queryable } from "../../store/database.ts";
import { TASK_STATUS, TASK_TYPE } from "./statuses.ts";
import { type PipelineTask, type TaskRef, toRef } from "./tasks.ts";

export async function isSplitDone(client: Queryable, proofId: string): Promise<boolean> {
  const found = await client.query(
    `select 1 from prove_task where proof_id = $1 and itype = ${TASK_TYPE.split} and status = ${TASK_STATUS.done}`,
    [proofId],
  );
  return found.rowCount === 1;
}

/**
 * Takes out all tasks but the split.
 * @returns as which the queue knows them
 */
export async function removeBehindSplit(client: Queryable, proofId: string): Promise<TaskRef[]> {
  const removed = await client.query<{ id: string; itype: number }>(
    `delete from prove_task where proof_id = $1 and itype <> ${TASK_TYPE.split} returning id, itype`,
    [proofId],
  );
  return removed.rows.map(toRef);
}

/** How many deferred proofs a split left: each is a leaf of the run's graph. */
export async function setDeferredProofs(client: Queryable, proofId: string, count: number): Promise<void> {
  await client.query(
    `update stage_task set shape = jsonb_set(shape, '{deferredProofs}', to_jsonb($2::int)) where id = $1`,
    [proofId, count],
  );
}

/** SHA-256 of the segments of these proves, by key. */
export async function readSegmentHashes(
  client: Queryable,
  proofId: string,
  keys: readonly string[],
): Promise<ReadonlyMap<string, string | null>> {
  const found = await client.query<{ key: string; input_hash: string | null }>(
    "select key, input_hash from prove_task where proof_id = $1 and key = any ($2)",
    [proofId, keys],
  );
  return new Map(found.rows.map((row) => [row.key, row.input_hash]));
}

/** The nodes of a task's starts before this one, the last first. */
export async function readEarlierNodes(client: Queryable, task: Pick<PipelineTask, "id">): Promise<string[]> {
  const found = await client.query<{ node: string }>(
    `select node from pipeline_attempt where task_id = $1 and finished_at is not null order by id desc`,
    [task.id],
  );
  return [...new Set(found.rows.map(({ node }) => node))];
}
