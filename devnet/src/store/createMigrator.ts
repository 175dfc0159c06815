import Postgrator from "postgrator";
import type { Queryable } from "./database.ts";

/**
 * Migrations on one connection, so that they may be part of a transaction.
 * @param pattern the files of the migrations
 * @param versionTable the table that holds the schema's version
 */
export function createMigrator(client: Queryable, pattern: string, versionTable: string): Postgrator {
  return new Postgrator({
    driver: "pg",
    migrationPattern: pattern,
    schemaTable: versionTable,
    validateChecksums: false,
    execQuery: async (query: string) => ({ rows: (await client.query(query)).rows }),
  });
}
