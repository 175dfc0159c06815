import { mkdir } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { GevulotError, isGevulotError } from "gevulot-sdk";
import pg from "pg";
import { freePort } from "./ports.ts";
import { cannotStart, canStart, choosePostgresAccount, type PostgresAccount } from "./postgresAccount.ts";
import { findPostgres, type PostgresBinaries, type PostgresChoice } from "./postgresBinaries.ts";
import { clusterMajor, ensureCluster, POSTGRES_USER, postgresPaths } from "./postgresCluster.ts";
import { shareEmbeddedPostgres } from "./postgresEmbedded.ts";
import { claimDataDir, stopOrphan } from "./postgresOwner.ts";
import { type PostgresServer, startPostgresServer } from "./postgresServer.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    POSTGRES_DATABASE_NAME: { readonly name: string };
  }
}

/** Crash recovery after a power cut is what takes long. */
const START_TIMEOUT_MS = 60_000;
const CONNECT_TIMEOUT_MS = 10_000;
/** Someone may take a free port between our look and PostgreSQL's. */
const FREE_PORT_TRIES = 5;
const DATABASE_NAME = /^[a-z][a-z0-9_]{0,62}$/;

export interface PostgresOptions {
  /** Everything of this database: its files, password and log. Made if missing; no two may share it. */
  readonly dataDir: string;
  /** On 127.0.0.1. A free one is chosen if not given. */
  readonly port?: number;
  readonly binaries?: PostgresChoice;
  /** Quickens later starts. Default `~/.cache/gevulot`. */
  readonly cacheDir?: string;
  /** False for tests: quicker, and a crash of the machine may lose data. Default true. */
  readonly durable?: boolean;
  readonly startTimeoutMs?: number;
  /** Ends the start. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (message: string) => void;
  /** As soon as there is a process. */
  readonly onSpawn?: (pid: number) => void;
  /** PostgreSQL ended without having been told to. */
  readonly onExit?: (reason: string) => void;
  /** As `PATH`, which is the default. */
  readonly searchPath?: string;
  /** Where npm's PostgreSQL is looked for, by default from this package. */
  readonly resolveFrom?: string;
}

/** A running PostgreSQL that ends with this process, whichever way this process ends. */
export interface Postgres extends AsyncDisposable {
  /** With user and password. The maintenance database if none is named. */
  url(database?: string): string;
  readonly port: number;
  /** Undefined while stopped. */
  readonly pid: number | undefined;
  readonly binaries: "system" | "embedded";
  readonly version: string;
  /** The log, at most 4 MiB and as much again in `<logFile>.1`. */
  readonly logFile: string;
  /** Makes a database if it doesn't exist. Returns its URL. */
  createDatabase(name: string): Promise<string>;
  /** Makes it empty; connections to it are cut. */
  emptyDatabase(name: string): Promise<void>;
  /** Stops the server and keeps the folder: `start()` goes on, on the same port. */
  stop(): Promise<void>;
  start(options?: { readonly signal?: AbortSignal }): Promise<void>;
}

/**
 * Starts a real PostgreSQL: the system's if one is installed, else the one that npm installed. It listens on
 * 127.0.0.1 only and wants a password. As root it runs under another user.
 *
 * @throws GevulotError `POSTGRES_NOT_FOUND`, `POSTGRES_VERSION_MISMATCH`, `POSTGRES_IN_USE`, `POSTGRES_NO_ACCOUNT`,
 * `POSTGRES_INIT_FAILED`, `POSTGRES_PORT_TAKEN`, `POSTGRES_START_FAILED`
 * @example
 * ```ts
 * await using postgres = await createPostgres({ dataDir: ".gevulot/postgres" });
 * const databaseUrl = await postgres.createDatabase("node0");
 * ```
 */
export async function createPostgres(options: PostgresOptions): Promise<Postgres> {
  const dataDir = resolve(options.dataDir);
  const paths = postgresPaths(dataDir);
  options.signal?.throwIfAborted();
  await mkdir(dataDir, { recursive: true });
  const release = await claimDataDir(dataDir, paths.ownerFile);
  try {
    await stopOrphan(paths.clusterDir, options.signal);
    const prepared = await prepare(dataDir, options);
    const { server, port } = await startSomewhere(prepared, options);
    return handle({ ...prepared, port, release }, server, options);
  } catch (error) {
    await release();
    throw error;
  }
}

type Prepared = Awaited<ReturnType<typeof prepare>>;

/** Everything but the start: programs, account and database folder. */
async function prepare(dataDir: string, options: PostgresOptions) {
  const { clusterDir, logFile } = postgresPaths(dataDir);
  const cacheDir = resolve(options.cacheDir ?? join(homedir(), ".cache", "gevulot"));
  const durable = options.durable ?? true;
  const onProgress = options.onProgress ?? (() => {});
  const dataMajor = await clusterMajor(clusterDir);
  const found = await findPostgres({
    searchPath: options.searchPath ?? process.env.PATH ?? "",
    cacheDir,
    ...(options.binaries && { choice: options.binaries }),
    ...(options.resolveFrom && { resolveFrom: options.resolveFrom }),
    ...(dataMajor !== undefined && { dataMajor }),
  });
  const account = await choosePostgresAccount(dataMajor === undefined ? undefined : clusterDir);
  const binaries = await startableBy(account, found);
  const signal = options.signal && { signal: options.signal };
  const cluster = { dataDir, clusterDir, cacheDir, binaries, account, durable, onProgress, ...signal };
  const password = await ensureCluster(cluster);
  const server = {
    binDir: binaries.binDir,
    clusterDir,
    logFile,
    account,
    durable,
    startTimeoutMs: options.startTimeoutMs ?? START_TIMEOUT_MS,
    onProgress,
    ...(options.onSpawn && { onSpawn: options.onSpawn }),
    ...(options.onExit && { onExit: options.onExit }),
  };
  onProgress(`starting PostgreSQL ${binaries.version} (${binaries.kind}, as ${account.name})`);
  return { binaries, password, server };
}

/** npm's programs may lie where only root comes: then all users get a copy. */
async function startableBy(account: PostgresAccount, found: PostgresBinaries): Promise<PostgresBinaries> {
  if (canStart(account, found.binDir)) return found;
  if (found.kind === "system") throw cannotStart(account, found.binDir);
  const binDir = await shareEmbeddedPostgres(found.binDir);
  if (!canStart(account, binDir)) throw cannotStart(account, binDir);
  return { ...found, binDir };
}

async function startSomewhere({ server: base }: Prepared, options: PostgresOptions) {
  const signal = options.signal && { signal: options.signal };
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort());
    try {
      return { port, server: await startPostgresServer({ ...base, port, ...signal }) };
    } catch (error) {
      const again = options.port === undefined && attempt < FREE_PORT_TRIES;
      if (!again || !isGevulotError(error, "POSTGRES_PORT_TAKEN")) throw error;
    }
  }
}

interface HandleState extends Prepared {
  readonly port: number;
  readonly release: () => Promise<void>;
}

function handle(state: HandleState, first: PostgresServer, options: PostgresOptions): Postgres {
  const { port, binaries, password } = state;
  let server: PostgresServer | undefined = first;
  let disposed: Promise<void> | undefined;
  // One after the other: a stop during a start waits for it.
  let turn: Promise<void> = Promise.resolve();
  const inTurn = (work: () => Promise<void>) => {
    const done = turn.then(work);
    turn = done.catch(() => {});
    return done;
  };
  const url = (database = "postgres") =>
    `postgres://${POSTGRES_USER}:${password}@127.0.0.1:${port}/${encodeURIComponent(database)}`;
  const stop = () =>
    inTurn(async () => {
      await server?.stop();
      server = undefined;
    });
  const start = ({ signal }: { readonly signal?: AbortSignal } = {}) =>
    inTurn(async () => {
      if (disposed !== undefined) throw new Error("PostgreSQL was disposed of: make a new one");
      server ??= await startPostgresServer({ ...state.server, port, ...(signal && { signal }) });
    });
  const createDatabase = async (name: string) => {
    await createDatabaseAt(url(), name, options.signal);
    return url(name);
  };
  const emptyDatabase = async (name: string) => {
    checkDatabaseName(name);
    await withClient(url(), (client) => client.query(`DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`));
    await createDatabaseAt(url(), name, undefined);
  };
  return {
    url,
    port,
    get pid() {
      return server?.pid;
    },
    binaries: binaries.kind satisfies PostgresBinaries["kind"],
    version: binaries.version,
    logFile: state.server.logFile,
    createDatabase,
    emptyDatabase,
    stop,
    start,
    [Symbol.asyncDispose]() {
      disposed ??= stop().finally(state.release);
      return disposed;
    },
  };
}

async function createDatabaseAt(url: string, name: string, signal: AbortSignal | undefined): Promise<void> {
  checkDatabaseName(name);
  signal?.throwIfAborted();
  await withClient(url, async (client) => {
    try {
      await client.query(`CREATE DATABASE "${name}"`);
    } catch (error) {
      const { code } = error as { code?: string };
      // It exists, or another one made it in the same moment.
      if (code !== "42P04" && code !== "23505") throw error;
    }
  });
}

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

function checkDatabaseName(name: string): void {
  if (DATABASE_NAME.test(name)) return;
  throw new GevulotError(
    "POSTGRES_DATABASE_NAME",
    `"${name}" can't name a database: use up to 63 small letters, digits and underscores, a letter first.`,
    { context: { name } },
  );
}
