import { execFile } from "node:child_process";
import { readdir, readFile, realpath } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import type { Logger } from "pino";
import { startOf } from "../processTable.ts";
import { nameIn } from "./qemuArgs.ts";
import { formatRunMark, parseRunMark, RUN_MARK_VARIABLE, type RunMark } from "./runMark.ts";
import { removeStaleSockets } from "./vsock/userVsock.ts";

export interface ReapOptions {
  readonly dataDirectory: string;
  readonly signal?: AbortSignal;
}

const GONE_TIMEOUT_MS = 5_000;
const POLL_MS = 10;
/** One that is killed may have started another. */
const MAX_LOOKS = 20;
const PS_TIMEOUT_MS = 5_000;
const PS_MAX_BYTES = 16 * 2 ** 20;

/**
 * Kills the VMs and host programs that an earlier node of this data directory left, and waits until they are gone.
 * They are told by the mark that they carry, never by a process id alone; those of a node that still runs are left
 * alone. Outside Linux only VMs are found.
 *
 * @returns the ids of the processes killed.
 */
export async function reapLeftovers(deps: { readonly log: Logger }, options: ReapOptions): Promise<number[]> {
  const dataDirectory = await realpath(options.dataDirectory).catch(() => null);
  if (dataDirectory === null) return [];
  const killed: number[] = [];
  for (const { pid, mark } of await findMarked()) {
    const isOurs = mark.workspaceDir.startsWith(`${dataDirectory}/`);
    if (!isOurs || startOf(mark.ownerPid) === mark.ownerStart) continue;
    deps.log.warn({ pid, attempt: mark.attemptId }, "a process that outlived its node is killed");
    try {
      process.kill(pid, "SIGKILL");
      killed.push(pid);
    } catch (error) {
      deps.log.warn({ pid, reason: (error as Error).message }, "it was not killed");
    }
  }
  const deadline = Date.now() + GONE_TIMEOUT_MS;
  for (const pid of killed) {
    while (startOf(pid) !== null && Date.now() < deadline) {
      await delay(POLL_MS, undefined, options.signal && { signal: options.signal });
    }
  }
  await removeStaleSockets();
  return killed;
}

/** Kills what a host program left running, as far as it kept its environment. */
export async function endMarked(mark: string): Promise<void> {
  for (let look = 0; look < MAX_LOOKS; look++) {
    const left = (await findMarked()).filter((one) => formatRunMark(one.mark) === mark);
    if (left.length === 0) return;
    for (const { pid } of left) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It is gone.
      }
    }
  }
}

interface Marked {
  readonly pid: number;
  readonly mark: RunMark;
}

async function findMarked(): Promise<Marked[]> {
  if (process.platform !== "linux") return findMarkedByPs();
  const pids = (await readdir("/proc")).map(Number).filter((pid) => pid > 1 && pid !== process.pid);
  const found = await Promise.all(
    pids.map(async (pid) => {
      const mark = markIn(await readParts(pid, "cmdline"), await readParts(pid, "environ"));
      return mark === null ? [] : [{ pid, mark }];
    }),
  );
  return found.flat();
}

/** The mark of a process, from its arguments or its environment. */
function markIn(args: readonly string[], env: readonly string[]): RunMark | null {
  const name = nameIn(args);
  const fromArgs = name === null ? null : parseRunMark(name);
  const prefix = `${RUN_MARK_VARIABLE}=`;
  const variable = env.find((entry) => entry.startsWith(prefix));
  return fromArgs ?? (variable === undefined ? null : parseRunMark(variable.slice(prefix.length)));
}

/** Empty for a process that is gone, or that belongs to somebody else. */
async function readParts(pid: number, file: "cmdline" | "environ"): Promise<string[]> {
  const text = await readFile(`/proc/${pid}/${file}`, "utf8").catch(() => "");
  return text.split("\0");
}

async function findMarkedByPs(): Promise<Marked[]> {
  const { stdout } = await promisify(execFile)("ps", ["-axww", "-o", "pid=,command="], {
    timeout: PS_TIMEOUT_MS,
    maxBuffer: PS_MAX_BYTES,
  });
  return stdout.split("\n").flatMap((line) => {
    const [, pid, name] = /^\s*(\d+) .*? -name (guest=gevulot-.*?) -nodefaults /.exec(line) ?? [];
    const mark = name === undefined ? null : parseRunMark(nameIn(["-name", name]) ?? "");
    return mark === null ? [] : [{ pid: Number(pid), mark }];
  });
}
