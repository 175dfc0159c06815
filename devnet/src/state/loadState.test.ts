import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../test/fixtures/testDatabase.ts";
import { migrateIn } from "../store/migrate.ts";
import { loadState } from "./loadState.ts";
import { openDatabase } from "./openDatabase.ts";
import { saveState } from "./saveState.ts";
import { loadSnapshot, saveSnapshot } from "./snapshots.ts";
import type { HostedNode } from "./stateHost.ts";
import type { StateManifest } from "./stateManifest.ts";

let shared: TestDatabase;
let stateDir: string;
let node: HostedNode;
let dir: string;
let manifest: StateManifest;
beforeAll(async () => {
  shared = await createTestDatabase();
});
afterAll(() => shared?.[Symbol.asyncDispose]());
let count = 0;
beforeEach(async () => {
  stateDir = await mkdtemp(join(tmpdir(), "load-"));
  const databaseUrl = await shared.postgres.createDatabase(`load${count++}`);
  node = { name: "node0", dataDir: join(stateDir, "node0"), databaseUrl };
  await mkdir(join(stateDir, "keys"));
  await mkdir(join(node.dataDir, "uploads"), { recursive: true });
  await writeFile(keyFile(), "saved");
  await writeFile(join(node.dataDir, "uploads", "a".repeat(64)), "whole");
  await writeFile(join(node.dataDir, "uploads", `${"b".repeat(64)}.0123.part`), "under w");
  await query((client) => migrateIn(client));
  await addProgram("a");
  dir = join(stateDir, "saved");
  manifest = await saveState({ stateDir, nodes: [node], load: async () => {} }, dir, { withFiles: true });
  await writeFile(keyFile(), "changed");
  await addProgram("b");
  return () => rm(stateDir, { recursive: true });
});

const keyFile = () => join(stateDir, "keys", "node0.pki");

async function query<T>(work: (client: Awaited<ReturnType<typeof openDatabase>>) => Promise<T>): Promise<T> {
  const client = await openDatabase(node.databaseUrl);
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

const addProgram = (letter: string) =>
  query((client) =>
    client.query("insert into program values ($1, $2, 'i', 'u', 'c')", [letter.repeat(64), letter]),
  );
const programs = async () => (await query((client) => client.query("select name from program"))).rows;
const load = (changed: StateManifest) =>
  loadState({ stateDir, nodes: [node] }, { dir, manifest: changed, source: "it" });

test("rows and keys come back together; of an upload that was under way nothing was saved", async () => {
  expect(manifest.nodes[0]?.files.map(({ path }) => path)).toEqual([`uploads/${"a".repeat(64)}`]);
  await load(manifest);
  expect(await programs()).toEqual([{ name: "a" }]);
  expect(await readFile(keyFile(), "utf8")).toBe("saved");
  expect(await readdir(join(stateDir, "keys"))).toEqual(["node0.pki"]);
});

test.each([
  ["a table of PostgreSQL's own", { name: "pg_class", columns: ["relname"] }],
  ["the note of the schema's version", { name: "gevulot_schema_version", columns: ["version"] }],
  ["a column that is not there", { name: "program", columns: ["hash", "none"] }],
  ["rows of another table", { name: "transaction", columns: ["hash"] }],
])("%s is refused, and neither rows nor keys are changed", async (_, table) => {
  const [saved] = manifest.nodes;
  const { blob } = saved!.database.tables[0]!;
  const database = { ...saved!.database, tables: [{ ...table, blob }] };
  await expect(load({ ...manifest, nodes: [{ ...saved!, database }] })).rejects.toMatchObject({
    code: "STATE_INVALID",
  });
  expect(await programs()).toEqual([{ name: "a" }, { name: "b" }]);
  expect(await readFile(keyFile(), "utf8")).toBe("changed");
});

test("a snapshot is replaced by --force alone, and nothing else is left in its folder", async () => {
  const host = { stateDir, nodes: [node], load: async () => {} };
  await saveSnapshot(host, "first", { force: true });
  await expect(saveSnapshot(host, "first", { force: false })).rejects.toMatchObject({
    code: "SNAPSHOT_EXISTS",
  });
  await addProgram("c");
  await saveSnapshot(host, "first", { force: true });
  expect(await readdir(join(stateDir, "snapshots"))).toEqual(["first"]);
  await loadSnapshot({ ...host, load: (saved) => loadState(host, saved) }, "first");
  expect(await programs()).toEqual([{ name: "a" }, { name: "b" }, { name: "c" }]);
});
