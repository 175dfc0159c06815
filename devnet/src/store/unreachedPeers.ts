import type { UnreachedPeers } from "gevulot-sdk";
import type { Queryable } from "./database.ts";

/** A transaction is noted with at most this many peers. */
const MAX_PEERS = 1_000;

/** Notes that these peers can't get a stored transaction. */
export async function addUnreachedPeers(
  client: Queryable,
  { tx, bytes, peers }: UnreachedPeers,
): Promise<void> {
  await client.query(
    `insert into unreached_peer (tx, peer, bytes) select $1::varchar, peer, $2::bigint from unnest($3::text[]) as p(peer)
     where exists (select 1 from transaction where hash = $1::varchar) on conflict do nothing`,
    [tx, bytes, peers.slice(0, MAX_PEERS)],
  );
}

/** Of a Run, its Proofs and their Verifications. */
export async function readUnreachedPeers(client: Queryable, run: string): Promise<UnreachedPeers[]> {
  const found = await client.query<{ tx: string; bytes: string; peers: string[] }>(
    `select tx, max(bytes) as bytes, array_agg(peer order by peer) as peers from unreached_peer
     where tx in (
       select $1::varchar union all select tx from proof where parent = $1
       union all select v.tx from verification v join proof p on p.tx = v.parent where p.parent = $1)
     group by tx order by tx`,
    [run],
  );
  return found.rows.map(({ tx, bytes, peers }) => ({ tx, bytes: Number(bytes), peers }));
}
