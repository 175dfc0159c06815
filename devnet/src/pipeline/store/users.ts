import type { Queryable } from "../../store/database.ts";

/** Who may submit runs: Ethereum addresses, compared without case as the existing service's database does. */
export async function isUser(client: Queryable, address: string): Promise<boolean> {
  const found = await client.query('select 1 from "user" where lower(address) = lower($1) limit 1', [
    address,
  ]);
  return found.rowCount === 1;
}

/** @param address 40 hex digits without `0x` */
export async function addUser(client: Queryable, address: string): Promise<void> {
  await client.query('insert into "user" (address) values ($1) on conflict do nothing', [address]);
}

export async function removeUser(client: Queryable, address: string): Promise<void> {
  await client.query('delete from "user" where lower(address) = lower($1)', [address]);
}
