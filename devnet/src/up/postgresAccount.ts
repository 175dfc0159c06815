import { execFile, spawnSync } from "node:child_process";
import { readFile, stat } from "node:fs/promises";
import { promisify } from "node:util";
import { GevulotError } from "gevulot-sdk";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    POSTGRES_NO_ACCOUNT: { readonly user: string; readonly path: string };
  }
}

const run = promisify(execFile);
const PROBE_TIMEOUT_MS = 10_000;

/** PostgreSQL refuses to run as root. As root it runs as one of these, the first that exists. */
const OTHER_USERS = ["postgres", "nobody"] as const;

/** Who PostgreSQL runs as, and what goes before its command for that. */
export interface PostgresAccount {
  readonly name: string;
  /** Set where the files of the database must belong to another user than ours. */
  readonly owner?: { readonly uid: number; readonly gid: number };
  /** For `spawn`. */
  readonly identity: { readonly uid?: number; readonly gid?: number };
  /** Put before the command. */
  readonly prefix: readonly string[];
}

export interface ChooseAccountOptions {
  /** Must exist. */
  readonly dataDir: string;
  readonly clusterDir: string;
  readonly binDir: string;
}

/**
 * Ourselves, unless we are root. Then the database's present owner, or another user if that one can reach both
 * programs and data, or else a user namespace, where root's own files look like another user's.
 *
 * @throws GevulotError `POSTGRES_NO_ACCOUNT`
 */
export async function choosePostgresAccount(options: ChooseAccountOptions): Promise<PostgresAccount> {
  if (process.getuid?.() !== 0) return { name: "this user", identity: {}, prefix: [] };
  const present = await stat(options.clusterDir).catch(() => undefined);
  const user = await otherUser(present?.uid === 0 ? undefined : present);
  if (present?.uid !== 0) {
    const account = { name: user.name, owner: user, identity: { uid: user.uid, gid: user.gid }, prefix: [] };
    if (canReach(account, options.dataDir) && canReach(account, options.binDir)) return account;
    if (present !== undefined) throw noAccount(user.name, options.dataDir);
  }
  return namespaceAccount(user, options);
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

/** Asked of the system itself, as modes, groups, mounts and access lists all have a say. */
function canReach(account: PostgresAccount, path: string): boolean {
  const probe = spawnSync("/bin/sh", ["-c", 'cd "$1"', "sh", path], {
    ...account.identity,
    cwd: "/",
    env: { PATH: "/usr/bin:/bin" },
    stdio: "ignore",
    timeout: PROBE_TIMEOUT_MS,
  });
  return probe.status === 0;
}

async function namespaceAccount(user: User, options: ChooseAccountOptions): Promise<PostgresAccount> {
  const prefix = ["unshare", "--user", `--map-user=${user.uid}`, `--map-group=${user.gid}`, "--"];
  const [command, ...args] = [...prefix, "true"];
  await run(command!, args, { timeout: PROBE_TIMEOUT_MS }).catch((cause) => {
    throw noAccount(user.name, options.dataDir, cause);
  });
  return { name: `${user.name} in a user namespace`, identity: {}, prefix };
}

function noAccount(user: string, path: string, cause?: unknown): GevulotError {
  return new GevulotError(
    "POSTGRES_NO_ACCOUNT",
    `PostgreSQL can't run as root, and the user ${user} can't enter ${path} (or PostgreSQL's own folder). ` +
      "Choose a folder that others may enter, e.g. under /var/lib, or start as an ordinary user.",
    { context: { user, path }, cause },
  );
}
