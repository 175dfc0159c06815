import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import type { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { GevulotError } from "gevulot-sdk";
import type { ProcessEnd } from "./vmState.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    PROCESS_STUCK: { pid: number };
  }
}

export interface ProcessGroup {
  readonly pid: number;
  readonly child: ChildProcess;
  /** Resolves when the process is gone and everything that it wrote was read. */
  readonly ended: Promise<ProcessEnd>;
  /**
   * Ends the group: `ask` first, if given, then SIGTERM, then SIGKILL. Resolves when the process is gone.
   * @throws GevulotError `PROCESS_STUCK` where even SIGKILL does not end it.
   */
  stop(ask?: () => Promise<unknown>): Promise<void>;
}

const ASK_MS = 1_000;
const TERM_MS = 2_000;
const KILL_MS = 5_000;
/** What left the group may hold the pipes open, and even write on. */
const DRAIN_LOOK_MS = 500;
const MAX_DRAIN_LOOKS = 20;

/** Starts a command as leader of a process group of its own. Rejects with the system's error where it can't. */
export async function startProcessGroup(
  command: string,
  args: readonly string[],
  options: SpawnOptions,
): Promise<ProcessGroup> {
  const child = spawn(command, args, { ...options, detached: true });
  for (const stream of child.stdio) {
    // A pipe to a process that died: that it died is heard from the process itself.
    stream?.on("error", () => {});
  }
  await new Promise<void>((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", reject);
  });
  child.on("error", () => {});
  const pid = child.pid as number;
  const ended = endOf(child, pid);
  let stopping: Promise<void> | null = null;
  return {
    pid,
    child,
    ended,
    stop(ask) {
      stopping ??= stop(pid, ended, ask);
      return stopping;
    },
  };
}

function endOf(child: ChildProcess, pid: number): Promise<ProcessEnd> {
  return new Promise((resolve) => {
    child.once("exit", (exitCode, signal) => {
      const end: ProcessEnd = { pid, exitCode, signal };
      // Whatever the leader started must not go on without it.
      signalGroup(pid, "SIGKILL");
      const drain = drainOf(child, () => resolve(end));
      child.once("close", () => {
        clearInterval(drain);
        resolve(end);
      });
    });
  });
}

/** Gives up pipes out of which nothing more comes: this process would not end before they are closed. */
function drainOf(child: ChildProcess, onDrained: () => void): NodeJS.Timeout {
  let [last, looks] = [-1, 0];
  const timer = setInterval(() => {
    const bytes = child.stdio.reduce((sum, stream) => sum + ((stream as Socket | null)?.bytesRead ?? 0), 0);
    if (bytes !== last && ++looks < MAX_DRAIN_LOOKS) {
      last = bytes;
      return;
    }
    clearInterval(timer);
    for (const stream of child.stdio) stream?.destroy();
    onDrained();
  }, DRAIN_LOOK_MS);
  return timer;
}

async function stop(
  pid: number,
  ended: Promise<ProcessEnd>,
  ask: (() => Promise<unknown>) | undefined,
): Promise<void> {
  if (ask !== undefined) {
    ask().catch(() => {});
    if (await endsWithin(ended, ASK_MS)) return;
  }
  signalGroup(pid, "SIGTERM");
  if (await endsWithin(ended, TERM_MS)) return;
  signalGroup(pid, "SIGKILL");
  if (await endsWithin(ended, KILL_MS)) return;
  throw new GevulotError(
    "PROCESS_STUCK",
    `Process ${pid} does not end, even by SIGKILL: the system holds it, often for a disk or a device. Look at its state with \`ps -o stat,wchan ${pid}\`.`,
    { context: { pid } },
  );
}

/** False when the time is over first. */
async function endsWithin(ended: Promise<unknown>, ms: number): Promise<boolean> {
  const timer = new AbortController();
  const late = delay(ms, false, { signal: timer.signal }).catch(() => false);
  const isEnded = await Promise.race([ended.then(() => true), late]);
  timer.abort();
  return isEnded;
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // It is gone.
  }
}
