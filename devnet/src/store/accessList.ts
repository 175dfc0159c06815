import type { Queryable } from "./database.ts";

/** Public keys as 130 hex digits (protocol section 11). */
export async function addToAccessList(database: Queryable, keys: readonly string[]): Promise<number> {
  const added = await database.query(
    "insert into acl_whitelist (key) select distinct * from unnest($1::text[]) on conflict do nothing",
    [keys],
  );
  return added.rowCount ?? 0;
}

/** @returns whether it was there. */
export async function removeFromAccessList(database: Queryable, key: string): Promise<boolean> {
  const removed = await database.query("delete from acl_whitelist where key = $1", [key]);
  return removed.rowCount === 1;
}

export async function isAccessListEmpty(database: Queryable): Promise<boolean> {
  return (await database.query("select 1 from acl_whitelist limit 1")).rowCount === 0;
}

/** Which of these keys are listed. */
export async function readAccessList(
  database: Queryable,
  keys: readonly string[],
): Promise<ReadonlyMap<string, true>> {
  const found = await database.query<{ key: string }>("select key from acl_whitelist where key = any($1)", [
    keys,
  ]);
  return new Map(found.rows.map(({ key }) => [key, true]));
}
