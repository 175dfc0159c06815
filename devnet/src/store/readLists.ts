import type { QueryResultRow } from "pg";
import type { Queryable } from "./database.ts";

/** Where a page goes on: older than this time and, at the same time, below this key. */
export interface PageStart {
  /** ISO 8601, to the microsecond where it comes from a row. */
  readonly at: string;
  /** A hash or id; empty for "older than this time". */
  readonly key: string;
}

export interface ListFilter<State extends string = string> {
  readonly author?: string | undefined;
  readonly state?: State | undefined;
  readonly before?: PageStart | undefined;
  readonly limit: number;
}

export interface Page<Item> {
  readonly items: readonly Item[];
  /** Null where there is nothing older. */
  readonly next: PageStart | null;
}

const time = (column: string) => `to_char(${column} at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;

export type ListedRunState = "submitted" | "proving" | "verifying" | "complete" | "failed";

export interface ListedRun {
  readonly run: string;
  readonly author: string;
  readonly state: ListedRunState;
  readonly submittedAt: string;
  readonly programs: readonly string[];
  readonly proofs: number;
  readonly verifications: number;
}

/** The rule is that of `getRunStatus`. */
const RUNS = `
  select hash as key, at, hash as run, author, ${time("at")} as "submittedAt", programs, proofs, verifications,
    case
      when verifications > 0 or (proofs > 0 and cardinality(programs) = 1) then 'complete'
      when failed then 'failed'
      when proven then 'verifying'
      when tried then 'proving'
      else 'submitted'
    end as state
  from (
    select t.hash, t.author, t.created_at as at,
      array(select s.program from workflow_step s where s.tx = t.hash order by s.sequence) as programs,
      (select count(*)::int from counted_proof p where p.run = t.hash) as proofs,
      (select count(*)::int from counted_verification v where v.run = t.hash) as verifications,
      exists (select 1 from counted_proof p where p.run = t.hash and p.prover = (
        select w.program from workflow_step w where w.tx = t.hash order by w.sequence desc limit 1 offset 1
      )) as proven,
      coalesce(
        (select s.failure is not null from shared_run s where s.run = t.hash),
        exists (select 1 from task k where k.run = t.hash and k.failure is not null)
      ) as failed,
      exists (select 1 from task k join task_attempt a on a.task = k.id where k.run = t.hash)
        or exists (select 1 from task_report r where r.run = t.hash) as tried
    from transaction t where t.kind = 'run'
  ) r`;

export interface RunFilter extends ListFilter<ListedRunState> {
  /** With a step of this program. */
  readonly program?: string | undefined;
}

export function listRuns(database: Queryable, filter: RunFilter): Promise<Page<ListedRun>> {
  return readPage<ListedRun>(database, RUNS, filter);
}

export interface ListedProgram {
  readonly program: string;
  readonly name: string;
  readonly imageFileName: string;
  readonly imageFileUrl: string;
  readonly imageFileChecksum: string;
  readonly memMib: bigint;
  readonly cpus: bigint;
  readonly gpus: bigint;
  /** Of the first Deploy that named it. */
  readonly author: string;
  readonly deploy: string;
  readonly deployedAt: string;
}

const PROGRAMS = `
  select p.hash as key, d.created_at as at, p.hash as program, p.name, p.image_file_name as "imageFileName",
    p.image_file_url as "imageFileUrl", p.image_file_checksum as "imageFileChecksum",
    r.memory as "memMib", r.cpus, r.gpus, d.author, d.hash as deploy, ${time("d.created_at")} as "deployedAt"
  from program p join program_resource_requirements r on r.program_hash = p.hash
  cross join lateral (
    select t.hash, t.author, t.created_at from deploy y join transaction t on t.hash = y.tx
    where y.prover = p.hash or y.verifier = p.hash order by t.created_at, t.hash limit 1
  ) d`;

export async function listPrograms(
  database: Queryable,
  filter: Omit<ListFilter, "state">,
): Promise<Page<ListedProgram>> {
  const page = await readPage<ListedProgram>(database, PROGRAMS, filter);
  const items = page.items.map((item) => ({
    ...item,
    memMib: BigInt(item.memMib),
    cpus: BigInt(item.cpus),
    gpus: BigInt(item.gpus),
  }));
  return { ...page, items };
}

export type ListedTaskState = "queued" | "running" | "done" | "failed";

export interface ListedTask {
  readonly id: string;
  readonly run: string;
  /** Of the Run. */
  readonly author: string;
  readonly step: number;
  readonly kind: "proof" | "verification";
  readonly program: string;
  readonly programName: string;
  readonly proof: string | null;
  readonly state: ListedTaskState;
  readonly waitsFor: string | null;
  readonly attempts: number;
  readonly queuedAt: string;
  readonly endedAt: string | null;
  readonly result: string | null;
  /** The code of its failure; `getRunStatus` has all of it. */
  readonly failure: string | null;
}

const TASKS = `
  select k.id as key, k.queued_at as at, k.id, k.run, t.author, k.step, k.kind, k.program, p.name as "programName",
    case when k.kind = 'verification' then k.proof end as proof, k.state, k.waits_for as "waitsFor",
    (select count(*)::int from task_attempt a where a.task = k.id) as attempts,
    ${time("k.queued_at")} as "queuedAt", ${time("k.ended_at")} as "endedAt", k.result, k.failure->>'code' as failure
  from task k join transaction t on t.hash = k.run join program p on p.hash = k.program
  where k.state <> 'standby'`;

export function listTasks(
  database: Queryable,
  filter: ListFilter<ListedTaskState>,
): Promise<Page<ListedTask>> {
  return readPage<ListedTask>(database, TASKS, filter);
}

/** Newest first. By key set: rows that are added meanwhile move no page, and a late page costs what the first does. */
async function readPage<Item>(
  database: Queryable,
  items: string,
  filter: ListFilter & Pick<RunFilter, "program">,
): Promise<Page<Item>> {
  const values: unknown[] = [];
  const bind = (value: unknown) => `$${values.push(value)}`;
  const wheres: string[] = [];
  if (filter.author !== undefined) wheres.push(`author = ${bind(filter.author)}`);
  if (filter.state !== undefined) wheres.push(`state = ${bind(filter.state)}`);
  if (filter.program !== undefined) wheres.push(`${bind(filter.program)} = any(programs)`);
  if (filter.before !== undefined) {
    const { at, key } = filter.before;
    wheres.push(`(at, key) < (${bind(at)}::timestamptz, ${bind(key)})`);
  }
  const where = wheres.length > 0 ? `where ${wheres.join(" and ")}` : "";
  const found = await database.query<QueryResultRow & { key: string; at: Date; position: string }>(
    `select *, ${time("at")} as position from (${items}) items ${where}
     order by at desc, key desc limit ${bind(filter.limit + 1)}`,
    values,
  );
  const rows = found.rows.slice(0, filter.limit);
  const last = rows.at(-1);
  return {
    items: rows.map(({ key: _key, at: _at, position: _position, ...item }) => item as Item),
    next: last && found.rows.length > filter.limit ? { at: last.position, key: last.key } : null,
  };
}
