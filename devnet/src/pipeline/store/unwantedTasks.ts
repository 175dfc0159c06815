import type { Queryable } from "../../store/database.ts";

/** Of these tasks those whose run is over. */
export async function readUnwantedTasks(client: Queryable, ids: readonly string[]): Promise<string[]> {
  if (ids.length === 0) return [];
  const found = await client.query<{ id: string }>(
    `select task.id from prove_task as task join stage_task as run on run.id = task.proof_id
     where task.id = any ($1) and run.finished_at is not null`,
    [ids],
  );
  return found.rows.map(({ id }) => id);
}
