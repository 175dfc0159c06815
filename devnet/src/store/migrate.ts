import { fileURLToPath } from "node:url";
import { GevulotError } from "gevulot-sdk";
import { createMigrator } from "./createMigrator.ts";
import type { Database, Queryable } from "./database.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    DATABASE_FOREIGN: { table: string };
    DATABASE_TOO_NEW: { found: number; known: number };
  }
}

const MIGRATIONS = fileURLToPath(new URL("../../migrations/*", import.meta.url));
/** Any number, the same for all of our nodes: only one migrates at a time. */
const MIGRATION_LOCK = 4_738_201;

/**
 * Brings the schema to this version. Safe to run twice, and by two at once. Stops before any change on a database
 * made by the existing Rust node, whose tables have the same names.
 * @returns the names of the migrations that were applied.
 */
export async function migrate(database: Database): Promise<string[]> {
  return database.transaction(async (client) => {
    await client.query("select pg_advisory_xact_lock($1)", [MIGRATION_LOCK]);
    await refuseForeign(client);
    return migrateIn(client);
  });
}

/**
 * The same in the transaction that is open, up to a version of the schema.
 * @param version default the newest
 */
export async function migrateIn(client: Queryable, version?: number): Promise<string[]> {
  const postgrator = createMigrator(client, MIGRATIONS, "gevulot_schema_version");
  const known = await postgrator.getMaxVersion();
  const found = Math.max(await postgrator.getDatabaseVersion(), version ?? 0);
  if (found > known) {
    throw new GevulotError(
      "DATABASE_TOO_NEW",
      `The database has schema version ${found}, this program knows ${known} at most. Use a newer gevulot-node.`,
      { context: { found, known } },
    );
  }
  const applied = await postgrator.migrate(version === undefined ? undefined : String(version));
  return applied.map((migration) => migration.filename.replace(/^.*\//, ""));
}

/** Tables of the contract without our note of who made them are the existing node's, or somebody's copy of them. */
async function refuseForeign(client: Queryable): Promise<void> {
  const found = await client.query<{ table: string }>(
    `select table_name as table from information_schema.tables
     where table_schema = current_schema()
       and table_name in ('_sqlx_migrations', 'transaction', 'program', 'workflow_step', 'acl_whitelist')
       and (table_name = '_sqlx_migrations' or not exists (
         select 1 from information_schema.tables
         where table_schema = current_schema() and table_name = 'gevulot_schema_version'))
     order by table_name limit 1`,
  );
  const table = found.rows[0]?.table;
  if (table === undefined) return;
  throw new GevulotError(
    "DATABASE_FOREIGN",
    `This database was made by the existing Gevulot node (it has the table ${table}), and was left as it is. Create an empty database for this node and give it with --db-url.`,
    { context: { table } },
  );
}
