import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { chmod, lchown, mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { GevulotError } from "gevulot-sdk";
import type { PostgresAccount } from "./postgresAccount.ts";
import type { PostgresBinaries } from "./postgresBinaries.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    POSTGRES_INIT_FAILED: { readonly clusterDir: string; readonly output: string };
  }
}

const run = promisify(execFile);
const INIT_TIMEOUT_MS = 120_000;
const COPY_TIMEOUT_MS = 60_000;
const PASSWORD_BYTES = 24;
const OUTPUT_LIMIT = 2_000;

export const POSTGRES_USER = "gevulot";
const INITDB_ARGS = [
  `--username=${POSTGRES_USER}`,
  "--encoding=UTF8",
  "--locale=C",
  "--auth=scram-sha-256",
  // Synced as a whole at the end, once.
  "--no-sync",
];

export interface EnsureClusterOptions {
  readonly dataDir: string;
  readonly clusterDir: string;
  readonly cacheDir: string;
  readonly binaries: PostgresBinaries;
  readonly account: PostgresAccount;
  readonly durable: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress: (message: string) => void;
}

/** Paths inside the folder that a database owns. */
export function postgresPaths(dataDir: string) {
  return {
    clusterDir: join(dataDir, "cluster"),
    passwordFile: join(dataDir, "password"),
    ownerFile: join(dataDir, "owner.json"),
    logFile: join(dataDir, "postgres.log"),
  };
}

/** Major version of a database folder, or undefined if there is none yet. */
export async function clusterMajor(clusterDir: string): Promise<number | undefined> {
  const text = await readFile(join(clusterDir, "PG_VERSION"), "utf8").catch(() => undefined);
  return text === undefined ? undefined : Number.parseInt(text, 10);
}

/**
 * Makes the database folder if there is none: a copy of one made earlier (0.1 s), else by `initdb` (1 s), whose
 * work is then kept for the next time.
 *
 * @returns the password of {@link POSTGRES_USER}
 * @throws GevulotError `POSTGRES_INIT_FAILED`
 */
export async function ensureCluster(options: EnsureClusterOptions): Promise<string> {
  const { passwordFile } = postgresPaths(options.dataDir);
  const { clusterDir } = options;
  const password = await readFile(passwordFile, "utf8").catch(() => undefined);
  if (password !== undefined && (await clusterMajor(clusterDir)) !== undefined) return password.trim();
  await refuseStrangeFolder(clusterDir, password !== undefined);

  const making = `${clusterDir}.tmp`;
  await rm(making, { recursive: true, force: true });
  try {
    const made = (await copyTemplate(making, options)) ?? (await initCluster(making, options));
    if (options.durable) await initdb(["--sync-only", "-D", making], making, options);
    await writeFile(passwordFile, `${made}\n`, { mode: 0o600 });
    await rename(making, clusterDir);
    return made;
  } catch (error) {
    await rm(making, { recursive: true, force: true });
    throw error;
  }
}

/** A folder without our password isn't ours to open or to replace. */
async function refuseStrangeFolder(clusterDir: string, hasPassword: boolean): Promise<void> {
  const entries = await readdir(clusterDir).catch(() => []);
  if (entries.length === 0) return;
  const lack = hasPassword ? "holds no PostgreSQL database" : "has lost its password file";
  throw new GevulotError(
    "POSTGRES_INIT_FAILED",
    `The database folder ${clusterDir} is there and ${lack}. Move it away, or begin anew (--fresh).`,
    { context: { clusterDir, output: "" } },
  );
}

async function initCluster(making: string, options: EnsureClusterOptions): Promise<string> {
  options.onProgress(`making a database with PostgreSQL ${options.binaries.version}`);
  const password = randomBytes(PASSWORD_BYTES).toString("base64url");
  const passwordFile = `${making}.password`;
  await mkdir(making, { mode: 0o700, recursive: true });
  await writeFile(passwordFile, password, { mode: 0o600 });
  try {
    for (const path of [making, passwordFile]) await giveTo(path, options.account);
    await initdb([...INITDB_ARGS, `--pwfile=${passwordFile}`, "-D", making], making, options);
  } finally {
    await rm(passwordFile, { force: true });
  }
  await keepAsTemplate(making, password, options);
  return password;
}

async function initdb(args: readonly string[], making: string, options: EnsureClusterOptions): Promise<void> {
  const [command, ...rest] = [...options.account.prefix, join(options.binaries.binDir, "initdb"), ...args];
  try {
    await run(command!, rest, {
      ...options.account.identity,
      cwd: options.dataDir,
      env: { PATH: "/usr/bin:/bin", LC_ALL: "C" },
      timeout: INIT_TIMEOUT_MS,
      ...(options.signal && { signal: options.signal }),
    });
  } catch (cause) {
    options.signal?.throwIfAborted();
    const { stderr = "", stdout = "" } = cause as { stderr?: string; stdout?: string };
    const output = `${stdout}${stderr}`.trim().slice(-OUTPUT_LIMIT);
    throw new GevulotError(
      "POSTGRES_INIT_FAILED",
      `PostgreSQL could not make a database in ${making}: ${output || (cause as Error).message}`,
      { context: { clusterDir: making, output }, cause },
    );
  }
}

/** The account is part of the name, as the copied files keep their owner. */
function templateDir(options: EnsureClusterOptions): string {
  const owner = options.account.owner?.uid ?? process.getuid?.() ?? 0;
  const { kind, version } = options.binaries;
  const args = createHash("sha256").update(INITDB_ARGS.join("\n")).digest("hex").slice(0, 12);
  return join(options.cacheDir, `postgres-${kind}-${version}-${owner}-${args}`);
}

async function copyTemplate(making: string, options: EnsureClusterOptions): Promise<string | undefined> {
  const template = templateDir(options);
  const password = await readFile(join(template, "password"), "utf8").catch(() => undefined);
  if (password === undefined) return undefined;
  try {
    await copyFolder(join(template, "cluster"), making, options.signal);
    return password;
  } catch {
    // A damaged template costs a second: make the database without it.
    options.signal?.throwIfAborted();
    await rm(making, { recursive: true, force: true });
    return undefined;
  }
}

async function keepAsTemplate(made: string, password: string, options: EnsureClusterOptions): Promise<void> {
  const template = templateDir(options);
  const making = `${template}.${process.pid}.tmp`;
  try {
    await mkdir(making, { recursive: true, mode: 0o700 });
    await copyFolder(made, join(making, "cluster"), options.signal);
    await writeFile(join(making, "password"), password, { mode: 0o600 });
    await rename(making, template);
  } catch {
    // Only a later start would have been quicker; and another start may have been first.
    options.signal?.throwIfAborted();
  } finally {
    await rm(making, { recursive: true, force: true });
  }
}

/** `cp` and not `fs.cp`, which drops owners and takes 0.5 s for the thousand files. */
async function copyFolder(from: string, to: string, signal: AbortSignal | undefined): Promise<void> {
  await run("cp", ["-a", from, to], { timeout: COPY_TIMEOUT_MS, ...(signal && { signal }) });
}

/** Lets the account in: the folder itself, and its files if they belong to someone else. */
export async function giveTo(path: string, account: PostgresAccount): Promise<void> {
  if (account.owner === undefined) return;
  const { uid, gid } = account.owner;
  if ((await stat(path)).uid !== uid) await lchown(path, uid, gid);
}

/** The folder that holds a database's folder, its password and its log: others may pass through, not look. */
export async function ensureDataDir(dataDir: string): Promise<void> {
  await mkdir(dataDir, { recursive: true });
  if (process.getuid?.() === 0) await chmod(dataDir, 0o711);
}
