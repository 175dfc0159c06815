import { createHash } from "node:crypto";
import type { TaskStatus } from "gevulot-sdk";
import type { Queryable } from "./database.ts";

export interface StoredReport {
  readonly author: string;
  readonly run: string;
  readonly sentAt: Date;
  readonly task: TaskStatus;
  /** As it was signed. */
  readonly bytes: Uint8Array;
}

/** What a report needs and is not known here: its Run's hash, or its node's key. */
export async function missingFor(
  client: Queryable,
  { run, author }: Pick<StoredReport, "run" | "author">,
): Promise<string | null> {
  const found = await client.query<{ has_run: boolean; has_node: boolean }>(
    `select exists (select 1 from transaction where hash = $1 and kind = 'run') as has_run,
       exists (select 1 from known_node where public_key = $2) as has_node`,
    [run, author],
  );
  if (!found.rows[0]?.has_run) return run;
  return found.rows[0].has_node ? null : author;
}

/** A Run has at most this many reports of one node. */
const MAX_OF_AUTHOR = 1_000;

/**
 * Keeps the report where it is the task's newest.
 * @returns whether it was, or what it needs and is not known here
 */
export async function storeReport(
  client: Queryable,
  report: StoredReport,
): Promise<"stored" | "old" | { readonly missing: string }> {
  const { author, run, sentAt, task, bytes } = report;
  const missing = await missingFor(client, report);
  if (missing !== null) return { missing };
  const stored = await client.query(
    `insert into task_report (author, task, run, sent_at, status, bytes, id)
     select $1::text, $2::text, $3::text, $4::timestamptz, $5::jsonb, $6, $7
     where (select count(*) from task_report where run = $3 and author = $1 and task <> $2) < $8
     on conflict (author, task) do update set sent_at = $4, status = $5, bytes = $6, id = $7,
       xact = pg_current_xact_id(), place = nextval('item_place')
     where task_report.sent_at < $4 and task_report.run = $3 returning 1`,
    [
      author,
      task.id,
      run,
      sentAt,
      JSON.stringify(task).replaceAll("\\u0000", ""),
      Buffer.from(bytes),
      reportId(bytes),
      MAX_OF_AUTHOR,
    ],
  );
  return stored.rowCount ? "stored" : "old";
}

/** Of a Run, oldest first. */
export async function readReports(
  client: Queryable,
  run: string,
): Promise<{ readonly author: string; readonly task: TaskStatus; readonly sentAt: Date }[]> {
  const found = await client.query<{ author: string; status: TaskStatus; sent_at: Date }>(
    "select author, status, sent_at from task_report where run = $1 order by sent_at, author, task",
    [run],
  );
  return found.rows.map((row) => ({ author: row.author, task: row.status, sentAt: row.sent_at }));
}

/** A task of another node. */
export interface HeardTask {
  readonly task: TaskStatus;
  /** The first time. */
  readonly heardAt: Date;
}

/** The tasks of a Run that nodes reported, in the order in which they were heard of. */
export async function readHeardTasks(client: Queryable, run: string): Promise<HeardTask[]> {
  const found = await client.query<HeardTask>(
    `select status as task, heard_at as "heardAt" from task_report where run = $1 order by heard_at, author, task`,
    [run],
  );
  return found.rows;
}

/** SHA-256, by which nodes ask each other for a report. */
export function reportId(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
