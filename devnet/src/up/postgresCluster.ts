import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { lchown, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { GevulotError } from "gevulot-sdk";
import { type PostgresAccount, spawnAt } from "./postgresAccount.ts";
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
const SYNC_ONLY = "--sync-only";
/** Inside a folder where a database is made, and inside a template. */
const DATA = "data";
const PASSWORD = "password";

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

  const staging = `${clusterDir}.tmp`;
  await rm(staging, { recursive: true, force: true });
  try {
    await mkdir(staging, { mode: 0o700 });
    await giveTo(staging, options.account);
    const made = (await copyTemplate(staging, options)) ?? (await initCluster(staging, options));
    if (options.durable) await initdb([SYNC_ONLY], staging, options);
    await writeFile(passwordFile, `${made}\n`, { mode: 0o600 });
    await rename(join(staging, DATA), clusterDir);
    return made;
  } finally {
    await rm(staging, { recursive: true, force: true });
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

async function initCluster(staging: string, options: EnsureClusterOptions): Promise<string> {
  options.onProgress(`making a database with PostgreSQL ${options.binaries.version}`);
  const password = randomBytes(PASSWORD_BYTES).toString("base64url");
  const passwordFile = join(staging, PASSWORD);
  await writeFile(passwordFile, password, { mode: 0o600 });
  await giveTo(passwordFile, options.account);
  await initdb([...INITDB_ARGS], staging, options);
  await keepAsTemplate(staging, password, options);
  return password;
}

/** @param args beside the folder's and the password's, which `initdb` wants only where it makes something */
async function initdb(
  args: readonly string[],
  staging: string,
  options: EnsureClusterOptions,
): Promise<void> {
  const program = join(options.binaries.binDir, "initdb");
  const isMaking = !args.includes(SYNC_ONLY);
  const child = await spawnAt(
    options.account,
    staging,
    (path) => {
      const password = isMaking ? [`--pwfile=${join(path, PASSWORD)}`] : [];
      return [program, ...args, ...password, "-D", join(path, DATA)];
    },
    {
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH: "/usr/bin:/bin", LC_ALL: "C" },
      timeout: INIT_TIMEOUT_MS,
      ...(options.signal && { signal: options.signal }),
    },
  );
  let output = "";
  const keep = (data: Buffer) => {
    output = `${output}${data}`.slice(-OUTPUT_LIMIT);
  };
  child.stdout?.on("data", keep);
  child.stderr?.on("data", keep);
  const [code, signal] = child.pid === undefined ? [-1, null] : await once(child, "close");
  options.signal?.throwIfAborted();
  if (code === 0) return;
  const { clusterDir } = options;
  throw new GevulotError(
    "POSTGRES_INIT_FAILED",
    `${program} could not make a database for ${clusterDir} (${signal ?? `exit code ${code}`}): ${reasonIn(output)}`,
    { context: { clusterDir, output } },
  );
}

/** Of many lines those that say why. */
function reasonIn(output: string): string {
  if (output.includes("No space left on device"))
    return "the disk is full. Make room, or choose another place.";
  const why = output.split("\n").filter((line) => /\b(error|FATAL|PANIC):/.test(line));
  return (why.length > 0 ? why.join("\n") : output).trim();
}

/** The account is part of the name, as the copied files keep their owner. */
function templateDir(options: EnsureClusterOptions): string {
  const owner = options.account.owner?.uid ?? process.getuid?.() ?? 0;
  const { kind, version } = options.binaries;
  const args = createHash("sha256").update(INITDB_ARGS.join("\n")).digest("hex").slice(0, 12);
  return join(options.cacheDir, `postgres-${kind}-${version}-${owner}-${args}`);
}

async function copyTemplate(staging: string, options: EnsureClusterOptions): Promise<string | undefined> {
  const template = templateDir(options);
  const password = await readFile(join(template, PASSWORD), "utf8").catch(() => undefined);
  if (password === undefined) return undefined;
  try {
    await copyFolder(join(template, DATA), join(staging, DATA), options.signal);
    return password;
  } catch {
    // A damaged template costs a second: make the database without it.
    options.signal?.throwIfAborted();
    await rm(join(staging, DATA), { recursive: true, force: true });
    return undefined;
  }
}

async function keepAsTemplate(
  staging: string,
  password: string,
  options: EnsureClusterOptions,
): Promise<void> {
  const template = templateDir(options);
  const making = `${template}.${process.pid}.tmp`;
  try {
    await mkdir(making, { recursive: true, mode: 0o700 });
    await copyFolder(join(staging, DATA), join(making, DATA), options.signal);
    await writeFile(join(making, PASSWORD), password, { mode: 0o600 });
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

async function giveTo(path: string, { owner }: PostgresAccount): Promise<void> {
  if (owner !== undefined) await lchown(path, owner.uid, owner.gid);
}
