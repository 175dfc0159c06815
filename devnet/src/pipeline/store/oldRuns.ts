import type { Queryable } from "../../store/database.ts";

export interface OldRun {
  readonly id: string;
  readonly programId: string;
}

/** A run that ended so long ago, locked: it is not retried until the transaction ends. Null where there is none. */
export async function lockOldRun(client: Queryable, days: number): Promise<OldRun | null> {
  const found = await client.query<{ id: string; program_id: string }>(
    `select id, context::jsonb ->> 'program_id' as program_id from stage_task
     where finished_at < now() - make_interval(secs => $1) order by finished_at limit 1
     for update skip locked`,
    [days * 86_400],
  );
  const [row] = found.rows;
  return row ? { id: row.id, programId: row.program_id } : null;
}

/** With their tasks. */
export async function removeRun(client: Queryable, id: string): Promise<void> {
  await client.query("delete from stage_task where id = $1", [id]);
}

/** Whether a run is of that program. */
export async function isProgramUsed(client: Queryable, programId: string): Promise<boolean> {
  const found = await client.query(
    "select 1 from stage_task where context::jsonb ->> 'program_id' = $1 limit 1",
    [programId],
  );
  return found.rowCount === 1;
}

/** Of these blobs those that no run and no task names. */
export async function unusedBlobs(client: Queryable, hashes: readonly string[]): Promise<Set<string>> {
  const found = await client.query<{ hash: string }>(
    `select unnest($1::text[]) as hash except (
       select input_hash from prove_task union all select output_hash from prove_task
       union all select result_hash from stage_task
       union all select file.value from stage_task, jsonb_each_text(context::jsonb -> 'files') as file)`,
    [hashes],
  );
  return new Set(found.rows.map(({ hash }) => hash));
}
