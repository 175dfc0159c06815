import { execFile } from "node:child_process";
import { stat } from "node:fs/promises";
import { promisify } from "node:util";
import { findExecutable } from "./findExecutable.ts";

/** The user that a QEMU runs as which root starts. */
export interface RunAs {
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
}

export interface LaunchOptions {
  readonly runAs: RunAs | null;
  /** No program that it starts can have more rights than it has. */
  readonly noNewPrivileges: boolean;
  /** No file that it writes can be larger; needs util-linux's prlimit. */
  readonly maxFileBytes?: number | undefined;
}

/** How processes are started so that they end with this one. */
export interface Launcher {
  /** False where only `reapLeftovers` sees to it that nothing outlives a node that was killed. */
  readonly endsWithParent: boolean;
  /** Null where this process is not root, or can't become anybody else. */
  readonly unprivileged: RunAs | null;
  wrap(command: string, args: readonly string[], options: LaunchOptions): [string, string[]];
}

/** `nobody`, by number: containers need not know the name. */
const NOBODY_ID = 65_534;
const TRIAL_TIMEOUT_MS = 5_000;
const GROUP_READS_AND_WRITES = 0o060;

/** Finds out, by trying, what util-linux's setpriv can do here; without it, programs are started as they are. */
export async function createLauncher(options: { readonly signal?: AbortSignal } = {}): Promise<Launcher> {
  const setpriv = await findExecutable("setpriv");
  const noop = await findExecutable("true");
  const prlimit = await findExecutable("prlimit");
  const works = async (runAs: RunAs | null): Promise<boolean> => {
    if (setpriv === null || noop === null) return false;
    const args = setprivArgs(noop, [], { runAs, noNewPrivileges: true });
    const trial = { timeout: TRIAL_TIMEOUT_MS, ...(options.signal && { signal: options.signal }) };
    return promisify(execFile)(setpriv, args, trial).then(
      () => true,
      () => false,
    );
  };
  const nobody: RunAs = { uid: NOBODY_ID, gid: NOBODY_ID, groups: await kvmGroups() };
  const unprivileged = process.getuid?.() === 0 && (await works(nobody)) ? nobody : null;
  const endsWithParent = unprivileged !== null || (await works(null));
  options.signal?.throwIfAborted();
  return {
    endsWithParent,
    unprivileged,
    wrap(command, args, how) {
      const limit = how.maxFileBytes;
      const [inner, innerArgs] =
        limit === undefined || prlimit === null
          ? [command, [...args]]
          : [prlimit, [`--fsize=${limit}:${limit}`, "--", command, ...args]];
      return endsWithParent && setpriv !== null
        ? [setpriv, setprivArgs(inner, innerArgs, how)]
        : [inner, innerArgs];
    },
  };
}

/**
 * Arguments of setpriv for a command that the kernel kills when its parent ends, however that ends. The command
 * takes setpriv's place, and so its process id.
 */
export function setprivArgs(
  command: string,
  args: readonly string[],
  { runAs, noNewPrivileges }: LaunchOptions,
): string[] {
  const user =
    runAs === null
      ? []
      : [
          ...["--reuid", String(runAs.uid), "--regid", String(runAs.gid)],
          ...(runAs.groups.length > 0 ? ["--groups", runAs.groups.join(",")] : ["--clear-groups"]),
        ];
  const privileges = noNewPrivileges ? ["--no-new-privs"] : [];
  return ["--pdeathsig", "KILL", ...user, ...privileges, "--", command, ...args];
}

/** Whoever is in the group of /dev/kvm may use it; root's own group is no group to hand out. */
async function kvmGroups(): Promise<number[]> {
  const kvm = await stat("/dev/kvm").catch(() => null);
  const isForGroup = kvm !== null && (kvm.mode & GROUP_READS_AND_WRITES) === GROUP_READS_AND_WRITES;
  return isForGroup && kvm.gid !== 0 ? [kvm.gid] : [];
}
