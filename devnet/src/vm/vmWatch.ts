import { readdir, readFile, statfs } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { measureTree, type TreeLimits } from "./measureTree.ts";
import type { VmOutcome, VmTask } from "./provider.ts";

export interface VmWatchOptions {
  readonly task: Pick<VmTask, "workspaceDir" | "maxOutputBytes" | "maxOutputFiles" | "idleLimitMs">;
  /** Leader of the process group that is watched. */
  readonly pid: number;
  /** What was in the workspace before the program. */
  readonly before: { readonly entries: number; readonly bytes: number };
  /** Bytes that the console had so far: a program that speaks is not idle. */
  readonly consoleBytes: () => number;
  /** Volumes that it writes to. */
  readonly volumePaths?: readonly string[] | undefined;
  /** Of the host's disks, whatever the limits are. Default 512 MiB. */
  readonly minFreeBytes?: number;
  readonly onLimit: (outcome: VmOutcome) => void;
  /** The most memory that it held so far; called where it grew. */
  readonly onPeakMemory?: ((bytes: number) => void) | undefined;
}

/** A scan may cost a twentieth of a processor at most. */
const SCAN_SHARE = 20;
const MIN_SCAN_MS = 500;
const MAX_SCAN_MS = 30_000;
const MIN_FREE_BYTES = 512 * 2 ** 20;
/** A scan of the workspace takes longer than it takes to fill a disk. */
const DISK_LOOK_MS = 500;
const IDLE_CHECKS = 8;
const MIN_IDLE_CHECK_MS = 250;
/** A guest that waits takes less of one processor, also where it is emulated. */
const IDLE_CPU_SHARE = 0.1;
const TICKS_PER_SECOND = 100;
const MEMORY_LOOK_MS = 100;

/**
 * Watches what a program leaves in its workspace and whether it still does something, for as long as it is not disposed
 * of. The share has no quota of its own: what is written between two looks can pass the limit.
 */
export function watchVm(options: VmWatchOptions): Disposable {
  const stop = new AbortController();
  const { maxOutputBytes, maxOutputFiles, idleLimitMs } = options.task;
  const watches: Promise<void>[] = [watchDisks(options, stop.signal)];
  if (maxOutputBytes !== undefined || maxOutputFiles !== undefined) {
    const limits = {
      maxBytes: options.before.bytes + (maxOutputBytes ?? Number.MAX_SAFE_INTEGER),
      maxEntries: options.before.entries + (maxOutputFiles ?? Number.MAX_SAFE_INTEGER),
    };
    watches.push(watchWorkspace(options, limits, stop.signal));
  }
  if (idleLimitMs !== undefined) watches.push(watchIdle(options, idleLimitMs, stop.signal));
  if (options.onPeakMemory) watches.push(watchMemory(options.pid, options.onPeakMemory, stop.signal));
  // They end by the signal.
  for (const watch of watches) watch.catch(() => {});
  return { [Symbol.dispose]: () => stop.abort() };
}

async function watchWorkspace(
  { task, before, onLimit }: VmWatchOptions,
  limits: TreeLimits,
  signal: AbortSignal,
): Promise<void> {
  let pauseMs = MIN_SCAN_MS;
  for (;;) {
    await delay(pauseMs, undefined, { signal, ref: false });
    const startedMs = performance.now();
    const { excess } = await measureTree(task.workspaceDir, limits, signal);
    if (excess !== null) {
      const had =
        before.entries > 0 ? ` (the task's files are ${before.entries} and ${before.bytes} bytes of it)` : "";
      return onLimit({ kind: "outputLimit", reason: `its workspace holds ${excess}${had}` });
    }
    const tookMs = performance.now() - startedMs;
    pauseMs = Math.min(Math.max(tookMs * SCAN_SHARE, MIN_SCAN_MS), MAX_SCAN_MS);
  }
}

async function watchDisks(
  { task, volumePaths = [], minFreeBytes = MIN_FREE_BYTES, onLimit }: VmWatchOptions,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    for (const path of [task.workspaceDir, ...volumePaths]) {
      const { bavail, bsize } = await statfs(path);
      if (bavail * bsize >= minFreeBytes) continue;
      const what = path === task.workspaceDir ? "workspaces" : "a volume that it writes to";
      return onLimit({ kind: "outputLimit", reason: `the node's disk with ${what} is full` });
    }
    await delay(DISK_LOOK_MS, undefined, { signal, ref: false });
  }
}

async function watchIdle(
  { pid, consoleBytes, onLimit }: VmWatchOptions,
  idleLimitMs: number,
  signal: AbortSignal,
): Promise<void> {
  const pauseMs = Math.max(idleLimitMs / IDLE_CHECKS, MIN_IDLE_CHECK_MS);
  let last = { ms: performance.now(), ticks: await groupCpuTicks(pid), bytes: consoleBytes() };
  let activeMs = last.ms;
  for (;;) {
    await delay(pauseMs, undefined, { signal, ref: false });
    const now = { ms: performance.now(), ticks: await groupCpuTicks(pid), bytes: consoleBytes() };
    const cpuShare = (now.ticks - last.ticks) / TICKS_PER_SECOND / ((now.ms - last.ms) / 1_000);
    if (now.bytes !== last.bytes || cpuShare > IDLE_CPU_SHARE) activeMs = now.ms;
    last = now;
    if (now.ms - activeMs >= idleLimitMs) return onLimit({ kind: "idle", idleMs: idleLimitMs });
  }
}

/** The kernel keeps the peak; what came after the last look before the end is not seen. Nothing outside Linux. */
async function watchMemory(pid: number, onPeak: (bytes: number) => void, signal: AbortSignal): Promise<void> {
  let last = 0;
  for (;;) {
    const status = await readFile(`/proc/${pid}/status`, "latin1").catch(() => "");
    const peak = Number(/^VmHWM:\s*(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1_024;
    if (peak > last) onPeak(peak);
    last = Math.max(last, peak);
    await delay(MEMORY_LOOK_MS, undefined, { signal, ref: false });
  }
}

/** What the processes of a group have used of processors, in hundredths of a second; those that ended don't count. */
async function groupCpuTicks(group: number): Promise<number> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const ticks = await Promise.all(
    pids.map(async (pid) => {
      const stat = await readFile(`/proc/${pid}/stat`, "latin1").catch(() => "");
      // Counted from behind the name, which may hold anything: state, parent, group, ...
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return Number(fields[2]) === group ? Number(fields[11]) + Number(fields[12]) : 0;
    }),
  );
  return ticks.reduce((sum, one) => sum + one, 0);
}
