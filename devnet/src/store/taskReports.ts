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

/** Whether both the Run and the node of a report are known here. */
export async function hasReporter(
  client: Queryable,
  report: { run: string; author: string },
): Promise<boolean> {
  const found = await client.query(
    `select 1 where exists (select 1 from transaction where hash = $1 and kind = 'run')
       and exists (select 1 from known_node where public_key = $2)`,
    [report.run, report.author],
  );
  return found.rowCount === 1;
}

/** A Run has at most this many reports of one node. */
const MAX_OF_AUTHOR = 1_000;

/**
 * Keeps the report where its node is known and it is the task's newest.
 * @returns whether it was; `unknown` where its Run is not stored here.
 */
export async function storeReport(
  client: Queryable,
  report: StoredReport,
): Promise<"stored" | "old" | "unknown"> {
  const { author, run, sentAt, task, bytes } = report;
  const known = await client.query<{ has_run: boolean; has_node: boolean; reports: number }>(
    `select exists (select 1 from transaction where hash = $1 and kind = 'run') as has_run,
       exists (select 1 from known_node where public_key = $2) as has_node,
       (select count(*)::int from task_report where run = $1 and author = $2 and task <> $3) as reports`,
    [run, author, task.id],
  );
  const facts = known.rows[0];
  if (!facts?.has_run || !facts.has_node) return "unknown";
  if (facts.reports >= MAX_OF_AUTHOR) return "old";
  const stored = await client.query(
    `insert into task_report (author, task, run, sent_at, status, bytes, id) values ($1, $2, $3, $4, $5, $6, $7)
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
