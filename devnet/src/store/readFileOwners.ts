import type { Queryable } from "./database.ts";

/** The Run that a transaction's files belong to. */
export interface FileOwner {
  readonly hash: string;
  /** When the Run came, or its last task ended. */
  readonly at: Date;
  /** Tasks of the Run wait or run. */
  readonly isOpen: boolean;
}

/** @returns what is known of these Runs, Proofs and Verifications; others are left out. */
export async function readFileOwners(
  database: Queryable,
  hashes: readonly string[],
): Promise<ReadonlyMap<string, FileOwner>> {
  const found = await database.query<FileOwner>(
    `select o.hash, greatest(r.created_at, max(k.ended_at)) as at,
       coalesce(bool_or(k.state in ('queued', 'running')), false) as "isOpen"
     from (
       select hash, hash as run from transaction where kind = 'run' and hash = any($1)
       union all select tx, parent from proof where tx = any($1)
       union all select v.tx, p.parent from verification v join proof p on p.tx = v.parent where v.tx = any($1)
     ) o
     join transaction r on r.hash = o.run left join task k on k.run = o.run
     group by o.hash, r.created_at`,
    [hashes],
  );
  return new Map(found.rows.map((row) => [row.hash, row]));
}
