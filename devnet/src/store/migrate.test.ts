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
const SCHEMA = `select table_name, column_name, data_type, character_maximum_length from information_schema.columns
  where table_schema = current_schema() order by 1, 2`;

describe("migrate", () => {
  test("brings an empty database up, once, also when two do it at once; again is nothing", async () => {
    await using database = await empty();
    const applied = await Promise.all([migrate(database), migrate(database)]);
    expect(applied.map(({ length }) => length).sort((a, b) => a - b)).toEqual([0, applied.flat().length]);
    expect(applied.flat()).toContain("001.do.contract.sql");
    expect(await migrate(database)).toEqual([]);
  });

  test.each([
    ["with its bookkeeping", ["create table _sqlx_migrations (version bigint primary key)"]],
    ["without it", []],
  ])("leaves a database of the existing node as it is, %s", async (_, more) => {
    await using database = await empty();
    for (const sql of [...EXISTING, ...more]) await database.query(sql);
    const before = (await database.query(SCHEMA)).rows;
    await expect(migrate(database)).rejects.toMatchObject({
      code: "DATABASE_FOREIGN",
      message: expect.stringMatching(/existing Gevulot node.*left as it is.*--db-url/),
    });
    expect((await database.query(SCHEMA)).rows).toEqual(before);
    expect((await database.query("select key from acl_whitelist")).rows).toEqual([{ key: "04ab" }]);
  });
});
