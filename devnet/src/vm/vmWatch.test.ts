import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { VmOutcome } from "./provider.ts";
import { watchVm } from "./vmWatch.ts";

let workspaceDir = "";
let child: ChildProcess | undefined;
beforeEach(async () => {
  workspaceDir = await mkdtemp(join(tmpdir(), "gevulot-watch-"));
});
afterEach(async () => {
  if (child?.pid) process.kill(-child.pid, "SIGKILL");
  child = undefined;
  await rm(workspaceDir, { recursive: true, force: true });
});

function start(script: string): number {
  child = spawn("sh", ["-c", script], { detached: true, stdio: "ignore" });
  return child.pid as number;
}

interface Watched {
  readonly ended: Promise<VmOutcome>;
  readonly watch: Disposable;
}

function watch(pid: number, limits: object, consoleBytes = () => 0, more: object = {}): Watched {
  let settle: (outcome: VmOutcome) => void = () => {};
  const ended = new Promise<VmOutcome>((resolve) => {
    settle = resolve;
  });
  const task = { workspaceDir, ...limits };
  const before = { entries: 1, bytes: 0 };
  return {
    ended,
    watch: watchVm({ task, pid, before, consoleBytes, onLimit: (outcome) => settle(outcome), ...more }),
  };
}

const nothing = (ms: number) => delay(ms).then(() => null);

test("a process that waits is idle; one whose child works, or that speaks, is not", async () => {
  const waiting = watch(start("sleep 100 & wait"), { idleLimitMs: 1_000 });
  expect(await waiting.ended).toEqual({ kind: "idle", idleMs: 1_000 });
  let bytes = 0;
  const speaking = watch(child?.pid ?? 0, { idleLimitMs: 1_000 }, () => bytes++);
  expect(await Promise.race([speaking.ended, nothing(2_500)])).toBeNull();
  speaking.watch[Symbol.dispose]();
  process.kill(-(child?.pid ?? 0), "SIGKILL");
  const busy = watch(start("(while :; do :; done) & wait"), { idleLimitMs: 1_000 });
  expect(await Promise.race([busy.ended, nothing(2_500)])).toBeNull();
  busy.watch[Symbol.dispose]();
});

test("a full disk is seen though no limit is set, also that of a volume", async () => {
  const full = watch(start("sleep 100"), {}, () => 0, { minFreeBytes: Number.MAX_SAFE_INTEGER });
  expect(await full.ended).toEqual({
    kind: "outputLimit",
    reason: "the node's disk with workspaces is full",
  });
  const roomy = watch(child?.pid ?? 0, {}, () => 0, { volumePaths: ["/proc"], minFreeBytes: 1 });
  // A file system that never has room.
  expect(await roomy.ended).toMatchObject({ reason: expect.stringContaining("a volume that it writes to") });
});

test("too many files, too many bytes; what was there before does not count", async () => {
  const pid = start("sleep 100");
  await writeFile(join(workspaceDir, "task.json"), "{}");
  const files = watch(pid, { maxOutputFiles: 5 });
  for (let index = 0; index < 5; index++) await writeFile(join(workspaceDir, `f${index}`), "");
  expect(await Promise.race([files.ended, nothing(1_500)])).toBeNull();
  await writeFile(join(workspaceDir, "one more"), "");
  expect(await files.ended).toEqual({
    kind: "outputLimit",
    reason: expect.stringContaining("more than 6 files and folders"),
  });
  const bytes = watch(pid, { maxOutputBytes: 100_000 });
  await writeFile(join(workspaceDir, "large"), Buffer.alloc(200_000, 1));
  expect(await bytes.ended).toMatchObject({ reason: expect.stringContaining("more than 100000 bytes") });
});
