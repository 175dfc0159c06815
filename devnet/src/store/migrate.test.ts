import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../test/fixtures/testDatabase.ts";
import { createDatabase, type Database } from "./database.ts";
import { migrate } from "./migrate.ts";

let db: TestDatabase;
let names = 0;
beforeAll(async () => {
  db = await createTestDatabase();
});
afterAll(() => db?.[Symbol.asyncDispose]());

const empty = async (): Promise<Database> =>
  createDatabase(
    { log: pino({ level: "silent" }) },
    { url: await db.postgres.createDatabase(`m${names++}`) },
  );

/** As the existing node makes them (protocol section 11), shortened. */
const EXISTING = [
  "create table program (hash varchar(64) primary key, name varchar(128), image_file_name varchar(256))",
  "create type transaction_kind as enum ('empty', 'transfer', 'deploy', 'run', 'proof', 'verification')",
  "create table transaction (author varchar(130), hash varchar(64) primary key, kind transaction_kind, nonce numeric)",
  "create table acl_whitelist (key varchar(130) primary key)",
  "insert into acl_whitelist values ('04ab')",
];
/** All that a migration may make or change: relations, columns, keys, types and their values, functions, triggers. */
const SCHEMA = `
  with of_schema as (select oid from pg_namespace where nspname = current_schema())
  select 'relation' as what, relname::text as name, relkind::text as detail from pg_class where relnamespace in (table of_schema)
  union all select 'column', table_name || '.' || column_name,
    concat_ws(' ', data_type, character_maximum_length, is_nullable, column_default)
    from information_schema.columns where table_schema = current_schema()
  union all select 'constraint', conname, pg_get_constraintdef(oid) from pg_constraint where connamespace in (table of_schema)
  union all select 'value', t.typname, e.enumlabel from pg_enum e join pg_type t on t.oid = e.enumtypid
  union all select 'function', proname, prosrc from pg_proc where pronamespace in (table of_schema)
  union all select 'trigger', tgname, pg_get_triggerdef(oid) from pg_trigger
  order by 1, 2, 3`;

describe("migrate", () => {
  test("brings an empty database up, once, also when two do it at once; again is nothing", async () => {
    await using database = await empty();
    const applied = await Promise.all([migrate(database), migrate(database)]);
    expect(applied.map(({ length }) => length).sort((a, b) => a - b)).toEqual([0, applied.flat().length]);
    expect(applied.flat()).toContain("001.do.contract.sql");
    const before = (await database.query(SCHEMA)).rows;
    expect(await migrate(database)).toEqual([]);
    expect((await database.query(SCHEMA)).rows).toEqual(before);
    // What it looks at would show a change.
    await database.query("create index extra on cancel (tx)");
    expect((await database.query(SCHEMA)).rows).not.toEqual(before);
  });

  test.each([
    ["with its bookkeeping", ["create table _sqlx_migrations (version bigint primary key)"]],
    ["without it", []],
  ])("leaves a database of the existing node as it is, %s", async (_, more) => {
    await using database = await empty();
    for (const sql of [...EXISTING, ...more]) await database.query(sql);
    const before = (await database.query(SCHEMA)).rows;
    expect(before.length).toBeGreaterThan(10);
    const refused = await Promise.allSettled([migrate(database), migrate(database)]);
    const reason = {
      code: "DATABASE_FOREIGN",
      message: expect.stringMatching(/existing Gevulot node.*left as it is.*--db-url/),
    };
    expect(refused).toMatchObject(Array(2).fill({ status: "rejected", reason }));
    expect((await database.query(SCHEMA)).rows).toEqual(before);
    expect((await database.query("select key from acl_whitelist")).rows).toEqual([{ key: "04ab" }]);
  });
});
