import type { TaskFailure } from "gevulot-sdk";
import type { Queryable } from "./database.ts";

/** How a Run is shared with other nodes; null where it is this node's alone. */
export type Sharing = "all" | "assigned" | null;

/** Notes that other nodes run these Runs, too. */
export async function insertSharedRuns(
  client: Queryable,
  runs: readonly string[],
  sharing: Sharing,
): Promise<void> {
  if (sharing === null || runs.length === 0) return;
  await client.query(
    "insert into shared_run (run, assigned) select run, $2 from unnest($1::text[]) as r(run) on conflict do nothing",
    [runs, sharing === "assigned"],
  );
}

export async function readSharing(client: Queryable, run: string): Promise<Sharing> {
  const found = await client.query<{ assigned: boolean }>("select assigned from shared_run where run = $1", [
    run,
  ]);
  const row = found.rows[0];
  return row === undefined ? null : row.assigned ? "assigned" : "all";
}

/** Something about the Run is to be decided again. */
export async function unsettle(client: Queryable, run: string): Promise<void> {
  await client.query("update shared_run set settled = false where run = $1 and settled", [run]);
}

/** Nothing is to be decided about the Run, until something new comes. */
export async function settleSharedRun(client: Queryable, run: string): Promise<void> {
  await client.query("update shared_run set settled = true where run = $1 and not settled", [run]);
}

/** Runs that something is to be decided about, after `after` in the order of hashes. */
export async function readOpenSharedRuns(client: Queryable, after: string, limit: number): Promise<string[]> {
  const found = await client.query<{ run: string }>(
    "select run from shared_run where not settled and run > $1 order by run limit $2",
    [after, limit],
  );
  return found.rows.map(({ run }) => run);
}

/** Ends a shared Run that has no result yet. The first failure stays. */
export async function failSharedRun(client: Queryable, run: string, failure: TaskFailure): Promise<void> {
  await client.query(
    `update shared_run set failure = $2, ended_at = now(), settled = true where run = $1 and failure is null
       and not exists (select 1 from counted_verification v where v.run = $1)`,
    [run, JSON.stringify(failure)],
  );
}

export async function addKnownNodes(client: Queryable, publicKeys: readonly string[]): Promise<number> {
  const added = await client.query<{ is_new: boolean }>(
    `insert into known_node (public_key) select distinct key from unnest($1::text[]) as k(key)
     on conflict (public_key) do update set last_seen = now() returning (xmax = 0) as is_new`,
    [publicKeys],
  );
  return added.rows.filter((row) => row.is_new).length;
}
