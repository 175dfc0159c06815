import { pipeline } from "node:stream/promises";
import type pg from "pg";
import { from as copyFrom, to as copyTo } from "pg-copy-streams";
import { migrateIn } from "../store/migrate.ts";
import type { BlobFolder } from "./blobFolder.ts";
import type { DatabaseRows } from "./stateManifest.ts";

const VERSION_TABLE = "gevulot_schema_version";
/** The order in which peers take items in; a database gives its own numbers. */
const PLACE_SEQUENCE = "item_place";

interface Table {
  readonly name: string;
  readonly columns: readonly string[];
  readonly isPlaced: boolean;
}

/** Says what is wrong with rows that are to be loaded. */
export class RowsProblem extends Error {}

/** The rows of a node's database as they are at one moment, also while the node works. */
export async function saveRows(client: pg.ClientBase, blobs: BlobFolder): Promise<DatabaseRows> {
  await client.query("begin isolation level repeatable read read only");
  try {
    const tables = await readTables(client);
    const filled = await filledOf(client, tables);
    const saved: DatabaseRows["tables"] = [];
    for (const { name, columns, isPlaced } of tables.filter((table) => filled.has(table.name))) {
      const order = isPlaced ? " order by xact, place" : "";
      const rows = client.query(copyTo(`copy (select ${quoted(columns)} from "${name}"${order}) to stdout`));
      saved.push({ name, columns: [...columns], blob: await blobs.put(rows) });
    }
    return {
      schemaVersion: await readVersion(client),
      tables: saved,
      sequences: await readSequences(client),
    };
  } finally {
    await client.query("rollback");
  }
}

/**
 * Replaces all rows of a database in the transaction that is open. Rows of an older schema go into a schema of their
 * version, which is then brought up to date. Throws {@link RowsProblem}.
 */
export async function loadRows(client: pg.ClientBase, rows: DatabaseRows, blobs: BlobFolder): Promise<void> {
  if ((await readVersion(client)) === rows.schemaVersion) {
    await asReplica(client, () => emptyTables(client).then(() => fillTables(client, rows, blobs)));
    return;
  }
  await client.query("drop schema public cascade; create schema public");
  await migrateIn(client, rows.schemaVersion);
  // What migrations write is among the rows.
  await asReplica(client, () => emptyTables(client).then(() => fillTables(client, rows, blobs)));
  await migrateIn(client);
}

/** The rows are consistent as they are, and nobody is to be told of them as of news: no triggers, no foreign keys. */
async function asReplica(client: pg.ClientBase, work: () => Promise<void>): Promise<void> {
  await client.query("set local session_replication_role = replica");
  await work();
  await client.query("set local session_replication_role = origin");
}

export async function emptyTables(client: pg.ClientBase): Promise<void> {
  const tables = await readTables(client);
  await client.query(tables.map(({ name }) => `delete from "${name}"`).join(";"));
}

async function fillTables(client: pg.ClientBase, rows: DatabaseRows, blobs: BlobFolder): Promise<void> {
  const known = new Map((await readTables(client)).map((table) => [table.name, new Set(table.columns)]));
  for (const { name, columns, blob } of rows.tables) {
    // Of a stranger's archive: no table of PostgreSQL's own, nor the note of the schema's version.
    const unknown = columns.find((column) => !known.get(name)?.has(column));
    if (unknown !== undefined) throw new RowsProblem(`there is no ${name}.${unknown} to put rows in`);
    await pipeline(
      blobs.read(blob),
      client.query(copyFrom(`copy "${name}" (${quoted(columns)}) from stdin`)),
    );
  }
  for (const [name, value] of Object.entries(rows.sequences)) {
    // Not undone with the transaction, so it never goes back.
    await client.query(
      `select setval($1::regclass, greatest($2::bigint, coalesce(last_value, 1)))
       from pg_sequences where schemaname = 'public' and sequencename = $3`,
      [`public."${name}"`, value, name],
    );
  }
}

/** All but the note of the schema's version, each with the columns that mean something elsewhere too. */
async function readTables(client: pg.ClientBase): Promise<Table[]> {
  const found = await client.query<{ name: string; columns: string[]; is_placed: boolean }>(
    `select c.relname as name,
       array_agg(a.attname::text order by a.attnum) filter (where a.atttypid <> 'xid8'::regtype
         and coalesce(pg_get_expr(d.adbin, d.adrelid), '') not like 'nextval(''${PLACE_SEQUENCE}''%') as columns,
       bool_or(a.atttypid = 'xid8'::regtype) as is_placed
     from pg_class c join pg_attribute a on a.attrelid = c.oid
       left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
     where c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and c.relname <> $1
       and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
     group by c.relname order by c.relname`,
    [VERSION_TABLE],
  );
  return found.rows.map(({ name, columns, is_placed: isPlaced }) => ({ name, columns, isPlaced }));
}

/** A COPY takes longer than to see that there is nothing to copy. */
async function filledOf(client: pg.ClientBase, tables: readonly Table[]): Promise<Set<string>> {
  if (tables.length === 0) return new Set();
  const looks = tables.map(({ name }) => `select '${name}' as name where exists (select 1 from "${name}")`);
  const found = await client.query<{ name: string }>(looks.join(" union all "));
  return new Set(found.rows.map(({ name }) => name));
}

async function readSequences(client: pg.ClientBase): Promise<Record<string, string>> {
  const found = await client.query<{ name: string; value: string }>(
    `select sequencename as name, last_value::text as value from pg_sequences
     where schemaname = 'public' and last_value is not null`,
  );
  return Object.fromEntries(found.rows.map(({ name, value }) => [name, value]));
}

/** 0 where there is no schema yet. */
async function readVersion(client: pg.ClientBase): Promise<number> {
  const there = await client.query<{ there: boolean }>("select to_regclass($1) is not null as there", [
    `public.${VERSION_TABLE}`,
  ]);
  if (!there.rows[0]?.there) return 0;
  const found = await client.query<{ version: number | null }>(
    `select max(version)::int as version from ${VERSION_TABLE}`,
  );
  return found.rows[0]?.version ?? 0;
}

const quoted = (columns: readonly string[]): string => columns.map((column) => `"${column}"`).join(", ");
