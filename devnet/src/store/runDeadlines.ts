import type { TaskFailure } from "gevulot-sdk";
import type { Database, Queryable } from "./database.ts";
import { failSharedRun } from "./sharedRuns.ts";

/** Counts from now. The first one of a Run stays. */
export async function insertRunDeadline(client: Queryable, run: string, deadlineMs: number): Promise<void> {
  await client.query(
    `insert into run_deadline (run, ends_at) values ($1, now() + $2::bigint * interval '1 millisecond')
     on conflict do nothing`,
    [run, deadlineMs],
  );
}

/** Milliseconds until its deadline, less than 0 where that has passed; null for a Run without one. */
export async function readRunTimeLeft(database: Queryable, run: string): Promise<number | null> {
  const found = await database.query<{ left_ms: number }>(
    "select (extract(epoch from ends_at - now()) * 1000)::float8 as left_ms from run_deadline where run = $1",
    [run],
  );
  return found.rows[0]?.left_ms ?? null;
}

/** Milliseconds until the next deadline of a Run that has not ended; null where there is none. */
export async function readNextRunDeadline(database: Queryable): Promise<number | null> {
  const found = await database.query<{ left_ms: number | null }>(
    `select (extract(epoch from min(ends_at) - now()) * 1000)::float8 as left_ms
     from run_deadline where run in (
       select run from task where state in ('queued', 'running') union select run from shared_run where not settled)`,
  );
  return found.rows[0]?.left_ms ?? null;
}

/**
 * Fails what has not begun of the Runs whose deadline has passed; what runs has its own end.
 *
 * @returns those Runs
 */
export async function failLateRuns(
  database: Database,
  failure: Omit<TaskFailure, "step">,
): Promise<string[]> {
  const late = await database.query<{ run: string }>(
    `select run from run_deadline where ends_at <= now() and run in (
       select run from task where state = 'queued' union select run from shared_run where not settled)`,
  );
  for (const { run } of late.rows) {
    await database.transaction(async (client) => {
      await client.query(
        `update task set state = 'failed', waits_for = null, ended_at = now(),
           failure = $2::jsonb || jsonb_build_object('step', step) where run = $1 and state = 'queued'`,
        [run, JSON.stringify(failure)],
      );
      await failSharedRun(client, run, { ...failure, step: 0 });
    });
  }
  return late.rows.map(({ run }) => run);
}
