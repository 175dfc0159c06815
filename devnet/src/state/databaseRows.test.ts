import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../test/fixtures/testDatabase.ts";
import { migrateIn } from "../store/migrate.ts";
import { type BlobFolder, createBlobFolder } from "./blobFolder.ts";
import { loadRows, saveRows } from "./databaseRows.ts";

let shared: TestDatabase;
let dir: string;
let blobs: BlobFolder;
let client: pg.Client;
let count = 0;
beforeAll(async () => {
  shared = await createTestDatabase();
});
afterAll(() => shared?.[Symbol.asyncDispose]());
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "rows-"));
  blobs = await createBlobFolder(dir);
  client = await freshClient();
  await migrateIn(client);
  return async () => {
    await client.end();
    await rm(dir, { recursive: true, force: true });
  };
});

async function freshClient(): Promise<pg.Client> {
  const url = await shared.postgres.createDatabase(`rows${count++}`);
  const made = new pg.Client({ connectionString: url });
  await made.connect();
  return made;
}

const hash = (letter: string) => letter.repeat(64);
/** What is awkward in a text format: tabs, line ends, backslashes, nulls, bytes, arrays. */
const AWKWARD = "tab\there\nline \\N \\. end\r\u0001 ü";

async function addRun(into: pg.Client, letter: string): Promise<void> {
  await into.query(
    "insert into transaction (author, hash, kind, nonce, signature) values ('a', $1, 'run', 18446744073709551615, 's')",
    [hash(letter)],
  );
  await into.query("insert into transaction_bytes (hash, bytes) values ($1, $2)", [
    hash(letter),
    Buffer.from([0, 1, 92, 255]),
  ]);
  await into.query("insert into program values ($1, $2, 'i', 'u', 'c') on conflict do nothing", [
    hash("f"),
    AWKWARD,
  ]);
  await into.query("insert into workflow_step (tx, sequence, program, args) values ($1, 0, $2, $3)", [
    hash(letter),
    hash("f"),
    ["", AWKWARD],
  ]);
}

async function contentOf(from: pg.Client) {
  const { rows } = await from.query(
    `select t.hash, t.nonce::text, b.bytes, s.id, s.args, p.name from transaction t
     join transaction_bytes b using (hash) join workflow_step s on s.tx = t.hash
     join program p on p.hash = s.program order by b.xact, b.place`,
  );
  return rows;
}

const load = async (into: pg.Client, rows: Parameters<typeof loadRows>[1]) => {
  await into.query("begin");
  await loadRows(into, rows, blobs);
  await into.query("commit");
};

test("rows come back as they were, and what came since is gone", async () => {
  for (const letter of ["c", "a", "b"]) await addRun(client, letter);
  const saved = await saveRows(client, blobs);
  const before = await contentOf(client);
  expect(before.map((row) => row.hash[0])).toEqual(["c", "a", "b"]);
  await addRun(client, "d");
  await client.query("delete from transaction where hash = $1", [hash("a")]);
  await load(client, saved);
  expect(await contentOf(client)).toEqual(before);
  // New rows stand behind those that were loaded, and take no number of theirs.
  await addRun(client, "e");
  const after = await contentOf(client);
  expect(after.map((row) => row.hash[0])).toEqual(["c", "a", "b", "e"]);
  expect(Number(after[3].id)).toBeGreaterThan(Math.max(...before.map((row) => Number(row.id))));
});

test("rows go into an empty database, also one that never had a schema", async () => {
  await addRun(client, "a");
  const saved = await saveRows(client, blobs);
  const other = await freshClient();
  await load(other, saved);
  expect(await contentOf(other)).toEqual(await contentOf(client));
  // The triggers and foreign keys are those of the schema again.
  await expect(
    other.query("insert into transaction_bytes (hash, bytes) values ('none', '')"),
  ).rejects.toThrow("foreign key");
  await other.end();
});

test("rows of each older schema are brought up to this one", async () => {
  for (const version of [1, 2, 6, 10]) {
    const old = await freshClient();
    await migrateIn(old, version);
    await old.query(
      "insert into transaction (author, hash, kind, nonce, signature) values ('a', $1, 'run', 1, 's')",
      [hash("a")],
    );
    const saved = await saveRows(old, blobs);
    expect(saved.schemaVersion).toBe(version);
    await old.end();
    await load(client, saved);
    expect((await client.query("select hash from transaction")).rows).toEqual([{ hash: hash("a") }]);
    expect(await migrateIn(client)).toEqual([]);
  }
});

test("a load that fails leaves the rows as they are, also where the schema was made anew", async () => {
  await addRun(client, "a");
  const saved = await saveRows(client, blobs);
  const before = await contentOf(client);
  const wrong = saved.tables.map((table) =>
    table.name === "workflow_step" ? { ...table, columns: [...table.columns].reverse() } : table,
  );
  for (const rows of [
    { ...saved, tables: wrong },
    { ...saved, schemaVersion: 2, tables: wrong },
    { ...saved, schemaVersion: 9_999 },
    { ...saved, tables: [{ name: "no_such_table", columns: ["a"], blob: saved.tables[0]!.blob }] },
  ]) {
    await client.query("begin");
    await expect(loadRows(client, rows, blobs)).rejects.toThrow();
    await client.query("rollback");
    expect(await contentOf(client)).toEqual(before);
  }
});
