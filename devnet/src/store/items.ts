import type { Queryable } from "./database.ts";

/** What other nodes may ask this one for. */
export interface ItemStores {
  /** By their hash. */
  readonly transactions: ItemStore;
  /** Task reports, by the SHA-256 of their bytes. */
  readonly reports: ItemStore;
}

export interface ItemStore {
  has(ids: readonly string[]): Promise<ReadonlySet<string>>;
  read(id: string): Promise<Uint8Array | null>;
  since(
    cursor: string | null,
    limit: number,
  ): Promise<{ readonly ids: readonly string[]; readonly cursor: string | null }>;
}

/**
 * `<PostgreSQL's number of its data>.<transaction of the database>.<place>`. Without the first, a cursor from before the
 * data was made anew could stand behind what came since.
 */
const CURSOR = /^(\d{1,20})\.(\d{1,20})\.(\d{1,18})$/;
const MAX_XACT = 2n ** 64n - 1n;

export function createItemStores(database: Queryable): ItemStores {
  return {
    transactions: createItemStore(database, "transaction_bytes", "hash"),
    reports: createItemStore(database, "task_report", "id"),
  };
}

async function systemOf(database: Queryable): Promise<string> {
  const found = await database.query<{ id: string }>(
    "select system_identifier::text as id from pg_control_system()",
  );
  return (found.rows[0] as { id: string }).id;
}

function createItemStore(database: Queryable, table: string, id: string): ItemStore {
  return {
    async has(ids) {
      const found = await database.query<{ id: string }>(
        `select ${id} as id from ${table} where ${id} = any($1)`,
        [ids],
      );
      return new Set(found.rows.map((row) => row.id));
    },
    async read(wanted) {
      const found = await database.query<{ bytes: Buffer }>(`select bytes from ${table} where ${id} = $1`, [
        wanted,
      ]);
      return found.rows[0] ? Uint8Array.from(found.rows[0].bytes) : null;
    },
    async since(cursor, limit) {
      const match = CURSOR.exec(cursor ?? "");
      const here = await systemOf(database);
      const isCursor = match?.[1] === here && BigInt(match[2] as string) <= MAX_XACT;
      const [xact, place] = isCursor ? [match[2], match[3]] : ["0", "0"];
      // What is still open may get a place before the one that is read last.
      const found = await database.query<{ id: string; xact: string; place: string }>(
        `select ${id} as id, xact::text, place::text from ${table} t
         where (t.xact, t.place) > ($1::xid8, $2::bigint) and t.xact < pg_snapshot_xmin(pg_current_snapshot())
         order by t.xact, t.place limit $3`,
        [xact, place, limit],
      );
      const last = found.rows.at(-1);
      return {
        ids: found.rows.map((row) => row.id),
        cursor: last ? `${here}.${last.xact}.${last.place}` : isCursor ? cursor : null,
      };
    },
  };
}
