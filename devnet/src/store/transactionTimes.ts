import type { IntakeTimes } from "../intake/intakeClock.ts";
import type { Queryable } from "./database.ts";

/** Of a Run, Proof or Verification. */
export interface TransactionTimes extends IntakeTimes {
  readonly tx: string;
  /** The Run itself, or what the Proof or Verification names as its parent. */
  readonly parent: string;
  readonly files: number;
}

/** Notes them where they are not yet; of a transaction that is not stored, nothing. */
export async function insertTransactionTimes(
  client: Queryable,
  all: readonly TransactionTimes[],
): Promise<void> {
  const columns = (["tx", "parent", "peer", "files"] as const).map((name) => all.map((each) => each[name]));
  const stages = ["receivedAt", "verifiedAt", "readyAt", "fetchedAt", "storedAt"] as const;
  await client.query(
    `insert into transaction_times
       (tx, run, peer, files, received_at, verified_at, ready_at, fetched_at, stored_at)
     select t.tx, run.hash, t.peer, t.files, t.received_at, t.verified_at, t.ready_at, t.fetched_at, t.stored_at
     from unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::timestamptz[], $6::timestamptz[],
       $7::timestamptz[], $8::timestamptz[], $9::timestamptz[])
       as t(tx, parent, peer, files, received_at, verified_at, ready_at, fetched_at, stored_at)
     join transaction own on own.hash = t.tx
     left join proof on proof.tx = t.parent
     join transaction run on run.hash = coalesce(proof.parent, t.parent)
     on conflict (tx) do nothing`,
    [...columns, ...stages.map((name) => all.map((each) => each[name]))],
  );
}

export async function removeOldTransactionTimes(client: Queryable, keepDays: number): Promise<void> {
  await client.query("delete from transaction_times where stored_at < now() - make_interval(days => $1)", [
    keepDays,
  ]);
}
