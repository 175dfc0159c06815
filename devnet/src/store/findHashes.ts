import type { Queryable } from "./database.ts";

export interface FoundHash {
  readonly hash: string;
  readonly kind: "run" | "proof" | "verification" | "deploy" | "program" | "other";
  /** That it belongs to. */
  readonly run: string | null;
  readonly name: string | null;
}

/** After all hex digits. */
const END = "g";

/** The transactions and programs whose hashes begin with these hex digits; newest transactions first, then programs. */
export async function findHashes(database: Queryable, prefix: string, limit: number): Promise<FoundHash[]> {
  const found = await database.query<FoundHash>(
    `(select t.hash,
        case when t.kind::text in ('run', 'proof', 'verification', 'deploy') then t.kind::text else 'other' end as kind,
        case t.kind when 'run' then t.hash when 'proof' then p.parent when 'verification' then q.parent end as run,
        d.name
      from transaction t
      left join proof p on p.tx = t.hash
      left join verification v on v.tx = t.hash left join proof q on q.tx = v.parent
      left join deploy d on d.tx = t.hash
      where t.hash >= $1 and t.hash < $2 order by t.created_at desc, t.hash limit $3)
     union all
     (select hash, 'program', null, name from program where hash >= $1 and hash < $2 order by hash limit $3)
     limit $3`,
    [prefix, `${prefix}${END}`, limit],
  );
  return found.rows;
}
