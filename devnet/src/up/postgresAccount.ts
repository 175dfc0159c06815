import { type ChildProcess, execFile, type StdioOptions, spawn, spawnSync } from "node:child_process";
import { open, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { GevulotError } from "gevulot-sdk";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    POSTGRES_NO_ACCOUNT: { readonly user: string; readonly path: string };
  }
}

const run = promisify(execFile);
const PROBE_TIMEOUT_MS = 10_000;
const CHOWN_TIMEOUT_MS = 60_000;

/** PostgreSQL refuses to run as root. As root it runs as one of these, the first that exists. */
const OTHER_USERS = ["postgres", "nobody"] as const;

/** Who PostgreSQL runs as. */
export interface PostgresAccount {
  readonly name: string;
  /** Set where the files of the database must belong to another user than ours. */
  readonly owner?: { readonly uid: number; readonly gid: number };
}

/**
 * Starts one of PostgreSQL's programs as the account. Its folder is opened while we are still ourselves, and the
 * program is told what the kernel calls that: so the other user needs no way through the folders above, which may be
 * root's own.
 *
 * @param command gets the folder's path as the program is to use it
 */
export async function spawnAt(
  account: PostgresAccount,
  folder: string,
  command: (path: string) => readonly string[],
  options: SpawnAtOptions,
): Promise<ChildProcess> {
  const handle =
    account.owner !== undefined && process.platform === "linux" ? await open(folder, "r") : undefined;
  try {
    const [file, ...args] = command(handle === undefined ? folder : `/proc/self/fd/${FOLDER_FD}`);
    const stdio: StdioOptions = [...options.stdio, ...(handle === undefined ? [] : [handle.fd])];
    const child = spawn(file!, args, { ...account.owner, cwd: "/", ...options, stdio });
    // Told by the lack of a pid.
    child.once("error", () => {});
    return child;
  } finally {
    await handle?.close();
  }
}

export interface SpawnAtOptions {
  readonly stdio: ["ignore" | "pipe", "ignore" | "pipe", "pipe"];
  readonly env: Record<string, string>;
  readonly detached?: boolean;
  readonly timeout?: number;
  readonly signal?: AbortSignal;
}

/** The first one behind input, output and errors. */
const FOLDER_FD = 3;

/**
 * Ourselves, unless we are root. Then the database's present owner, or else a user who isn't root.
 *
 * @param clusterDir of a database that exists
 */
export async function choosePostgresAccount(clusterDir?: string): Promise<PostgresAccount> {
  if (process.getuid?.() !== 0) return { name: "this user" };
  const present = clusterDir === undefined ? undefined : await stat(clusterDir);
  const user = await otherUser(present?.uid === 0 ? undefined : present);
  if (clusterDir !== undefined && present?.uid === 0) {
    await run("chown", ["-R", `${user.uid}:${user.gid}`, clusterDir], { timeout: CHOWN_TIMEOUT_MS });
  }
  return { name: user.name, owner: { uid: user.uid, gid: user.gid } };
}

/** Whether the account can start the programs: asked of the system itself, as modes and mounts all have a say. */
export function canStart(account: PostgresAccount, binDir: string): boolean {
  if (account.owner === undefined) return true;
  const probe = spawnSync(join(binDir, "postgres"), ["--version"], {
    ...account.owner,
    cwd: "/",
    env: {},
    stdio: "ignore",
    timeout: PROBE_TIMEOUT_MS,
  });
  return probe.status === 0;
}

export function cannotStart(account: PostgresAccount, path: string): GevulotError {
  const user = account.name;
  return new GevulotError(
    "POSTGRES_NO_ACCOUNT",
    `PostgreSQL can't run as root, and the user ${user} can't start its programs in ${path}. ` +
      "Install PostgreSQL where all users can start it, or start as an ordinary user.",
    { context: { user, path } },
  );
}

interface User {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

async function otherUser(owner: { uid: number; gid: number } | undefined): Promise<User> {
  const users = parsePasswd(await readFile("/etc/passwd", "utf8").catch(() => ""));
  if (owner !== undefined) {
    const known = users.find((user) => user.uid === owner.uid);
    return { name: known?.name ?? `user ${owner.uid}`, uid: owner.uid, gid: owner.gid };
  }
  for (const name of OTHER_USERS) {
    const user = users.find((candidate) => candidate.name === name);
    if (user !== undefined && user.uid !== 0) return user;
  }
  return { name: "nobody", uid: 65_534, gid: 65_534 };
}

function parsePasswd(text: string): User[] {
  return text.split("\n").flatMap((line) => {
    const [name, , uid, gid] = line.split(":");
    if (name === undefined || !/^\d+$/.test(uid ?? "") || !/^\d+$/.test(gid ?? "")) return [];
    return [{ name, uid: Number(uid), gid: Number(gid) }];
  });
}
