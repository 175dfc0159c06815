import { fileURLToPath } from "node:url";
import { createMigrator } from "../../store/createMigrator.ts";
import type { Database } from "../../store/database.ts";

const MIGRATIONS = fileURLToPath(new URL("../../../migrations-pipeline/*", import.meta.url));
/** Any number, the same for all stages: only one migrates at a time. */
const MIGRATION_LOCK = 4_738_202;

/** Brings the schema of the proving service to this version. Safe to run twice, and by two at once. */
export async function migratePipeline(database: Database): Promise<void> {
  await database.transaction(async (client) => {
    await client.query("select pg_advisory_xact_lock($1)", [MIGRATION_LOCK]);
    await createMigrator(client, MIGRATIONS, "gevulot_pipeline_version").migrate();
  });
}
