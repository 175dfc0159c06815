import { readFile } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../test/fixtures/testDatabase.ts";
import { createDatabase, type Database, isPassing } from "./database.ts";

const TIMEOUT_MS = 300;

let db: TestDatabase;
let server: Server;
let database: Database;
const sockets: Socket[] = [];
beforeAll(async () => {
  db = await createTestDatabase();
  const { hostname, port } = new URL(db.url);
  server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    client.pipe(upstream).pipe(client);
    sockets.push(client, upstream);
    for (const socket of [client, upstream]) socket.on("error", () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = new URL(db.url);
  url.host = `127.0.0.1:${(server.address() as { port: number }).port}`;
  database = await createDatabase(
    { log: pino({ level: "silent" }) },
    { url: String(url), queryTimeoutMs: TIMEOUT_MS },
  );
});
afterAll(async () => {
  await database[Symbol.asyncDispose]();
  for (const socket of sockets) socket.destroy();
  server.close();
  await db[Symbol.asyncDispose]();
});

/** From now on nothing comes of what the server says on the connections that there are. */
const freeze = (): void => {
  for (const socket of sockets) socket.unpipe().pause();
};

describe("a database that no longer answers", () => {
  it("makes a query fail, and the next one go over a new connection", async () => {
    await database.query("select 1");
    freeze();
    await expect(database.query("select 1")).rejects.toMatchObject({ code: "DATABASE_UNREACHABLE" });
    expect((await database.query("select 1")).rowCount).toBe(1);
  });

  it("makes a transaction fail, and leaves nothing of it", async () => {
    await database.query("create table marks (id int)");
    const work = database.transaction(async (client) => {
      await client.query("insert into marks values (1)");
      freeze();
      await client.query("insert into marks values (2)");
    });
    await expect(work).rejects.toThrow("database_url");
    expect((await database.query("select 1 from marks")).rowCount).toBe(0);
  });
});

describe("a transaction whose process is frozen", () => {
  it("keeps its locks for no longer than it may, and fails once the process goes on", async () => {
    const log = pino({ level: "silent" });
    await using frozen = await createDatabase({ log }, { url: db.url, longestPauseMs: TIMEOUT_MS });
    let goOn = (): void => {};
    const paused = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    let isLocked = (): void => {};
    const locked = new Promise<void>((resolve) => {
      isLocked = resolve;
    });
    const work = frozen.transaction(async (client) => {
      await client.query("select pg_advisory_xact_lock(1)");
      isLocked();
      await paused;
      await client.query("select 1");
    });
    await locked;
    await db.database.transaction((client) => client.query("select pg_advisory_xact_lock(1)"));
    goOn();
    const error = await work.catch((failure: unknown) => failure);
    expect(error).toMatchObject({ code: "DATABASE_UNREACHABLE" });
    expect((await frozen.query("select 1")).rowCount).toBe(1);
  });
});

describe("isPassing", () => {
  it.each([
    ["a statement that took too long", "set local statement_timeout = 1; select pg_sleep(60)", true],
    ["a server that takes no changes", "set transaction read only; create table more (id int)", true],
    ["a value that can't be", "select 1 / 0", false],
    ["what the program got wrong", "select nothing", false],
  ])("%s", async (_, sql, is) => {
    const error = await db.database.transaction((client) => client.query(sql)).catch((failure) => failure);
    expect(isPassing(error)).toBe(is);
  });

  it("not a file that is missing", async () => {
    expect(isPassing(await readFile("/nowhere").catch((error) => error))).toBe(false);
  });
});

describe("prepared statements", () => {
  it("are prepared anew once a table that they read was changed", async () => {
    const log = pino({ level: "silent" });
    await using preparing = await createDatabase({ log }, { url: db.url, prepares: true });
    await db.database.query("create table widening (id int)");
    const read = "select * from widening where id <> $1";
    const isPrepared = `select 1 from pg_prepared_statements where statement = '${read}'`;
    const inTransaction = () => preparing.transaction((client) => client.query(read, [0]));
    await preparing.query(read, [0]);
    expect((await preparing.query(isPrepared)).rowCount).toBe(1);
    for (const [column, again] of Object.entries({ a: () => preparing.query(read, [0]), b: inTransaction })) {
      await db.database.query(`alter table widening add column ${column} int`);
      await expect(again()).rejects.toMatchObject({ code: "DATABASE_UNREACHABLE" });
      expect((await again()).rowCount).toBe(0);
    }
  });
});
