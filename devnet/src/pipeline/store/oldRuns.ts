import type { Queryable } from "../../store/database.ts";

export interface OldRun {
  readonly id: string;
  readonly programId: string;
}

const RUNS_AT_ONCE = 20;

/** Some of the runs that ended so long ago, locked: none of them is retried until the transaction ends. */
export async function lockOldRuns(client: Queryable, days: number): Promise<OldRun[]> {
  const found = await client.query<{ id: string; program_id: string }>(
    `select id, context::jsonb ->> 'program_id' as program_id from stage_task
     where finished_at < now() - make_interval(secs => $1) order by finished_at limit ${RUNS_AT_ONCE}
     for update skip locked`,
    [days * 86_400],
  );
  return found.rows.map((row) => ({ id: row.id, programId: row.program_id }));
}

/** With their tasks. */
export async function removeRuns(client: Queryable, ids: readonly string[]): Promise<void> {
  await client.query("delete from stage_task where id = any ($1)", [ids]);
}

/** Of these programs those that no run is of. */
export async function unusedPrograms(client: Queryable, ids: readonly string[]): Promise<string[]> {
  const found = await client.query<{ id: string }>(
    "select unnest($1::text[]) as id except select context::jsonb ->> 'program_id' from stage_task",
    [ids],
  );
  return found.rows.map(({ id }) => id);
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
