import { expect, test } from "vitest";
import { INITIAL_VM_STATE, nextVmState, type VmInput, type VmStage } from "./vmState.ts";

const spawned: VmInput = { kind: "spawned" };
const booted: VmInput = { kind: "guest", message: { kind: "booted" } };
const program: VmInput = { kind: "guest", message: { kind: "program" } };
const exited3: VmInput = { kind: "guest", message: { kind: "exited", exitCode: 3 } };
const oom: VmInput = { kind: "guest", message: { kind: "outOfMemory" } };
const failed: VmInput = { kind: "guest", message: { kind: "failed", reason: "no root disk" } };
const bootLimit: VmInput = { kind: "bootLimit", limitMs: 2_000 };
const exited0: VmInput = { kind: "guest", message: { kind: "exited", exitCode: 0 } };
const leaveLimit: VmInput = { kind: "leaveLimit", limitMs: 30_000 };
const deadline: VmInput = { kind: "deadline" };
const limit: VmInput = { kind: "limit", outcome: { kind: "outputLimit", reason: "too much" } };
const aborted: VmInput = { kind: "aborted" };
const gone = (exitCode: number | null, signal: string | null = null): VmInput => ({
  kind: "gone",
  end: { pid: 77, exitCode, signal },
});

function play(inputs: readonly VmInput[], console = "", stderr = "") {
  let state = INITIAL_VM_STATE;
  for (const input of inputs) state = nextVmState(state, input, () => ({ console, stderr }));
  return state;
}

test.each<[string, VmInput[], VmStage]>([
  ["nothing yet", [], "spawning"],
  ["QEMU runs", [spawned], "kernel"],
  ["init speaks", [spawned, booted], "booted"],
  ["the program runs", [spawned, booted, program], "program"],
  ["boot limit after the program's start", [spawned, booted, program, bootLimit], "program"],
  ["the last word alone", [spawned, booted, program, exited3], "leaving"],
  [
    "a deadline while the workspace is written back",
    [spawned, booted, program, exited3, deadline],
    "leaving",
  ],
  ["booted once more, by the program", [spawned, booted, program, booted], "program"],
  ["a second last word", [spawned, booted, program, exited3, oom], "leaving"],
  ["a leave limit that nobody waits for", [spawned, leaveLimit], "kernel"],
])("%s: no outcome", (_name, inputs, stage) => {
  expect(play(inputs)).toMatchObject({ stage, outcome: null });
});

const run = [spawned, booted, program];
test.each<[string, VmInput[], object]>([
  ["exit code", [...run, exited3, gone(1)], { kind: "exited", exitCode: 3 }],
  ["QEMU's own status says nothing", [...run, exited3, gone(0)], { kind: "exited", exitCode: 3 }],
  ["the first last word counts", [...run, exited3, oom, gone(1)], { kind: "exited", exitCode: 3 }],
  ["QEMU stays after the last word", [...run, exited3, leaveLimit], { kind: "exited", exitCode: 3 }],
  [
    "success that was not written back",
    [...run, exited0, leaveLimit],
    {
      kind: "vmDied",
      reason: expect.stringContaining("did not finish writing back what it wrote within 30 s"),
    },
  ],
  [
    "success that a volume did not take",
    [...run, exited0, { kind: "guest", message: { kind: "failed", reason: "the volume is full" } }],
    { kind: "vmDied", reason: "the program ended well, but the volume is full." },
  ],
  ["memory", [...run, oom, gone(1)], { kind: "outOfMemory" }],
  ["deadline", [...run, deadline, gone(null, "SIGKILL")], { kind: "deadline" }],
  ["a limit", [...run, limit, gone(0)], { kind: "outputLimit", reason: "too much" }],
  ["a limit while it writes back", [...run, exited3, limit], { kind: "outputLimit", reason: "too much" }],
  [
    "a file too large for the host",
    [...run, gone(null, "SIGXFSZ")],
    { kind: "outputLimit", reason: expect.stringContaining("outgrew") },
  ],
  ["deadline in the kernel", [spawned, deadline], { kind: "deadline" }],
  ["cancelled", [...run, aborted, gone(0)], { kind: "cancelled" }],
  ["cancelled while it writes back", [...run, exited3, aborted], { kind: "cancelled" }],
  ["cancelled before the start", [aborted, spawned], { kind: "cancelled" }],
  ["init failed", [spawned, failed], { kind: "bootFailed", reason: expect.stringContaining("no root disk") }],
  ["init failed late", [...run, failed], { kind: "vmDied", reason: expect.stringContaining("no root disk") }],
  [
    "QEMU refuses",
    [spawned, gone(1)],
    { kind: "bootFailed", reason: expect.stringContaining("exit code 1") },
  ],
  ["no word", [spawned, bootLimit], { kind: "bootFailed", reason: expect.stringContaining("within 2 s") }],
  [
    "no program",
    [spawned, booted, bootLimit],
    { kind: "bootFailed", reason: expect.stringContaining("program was not started") },
  ],
  [
    "killed",
    [...run, gone(null, "SIGKILL")],
    { kind: "vmDied", reason: expect.stringMatching(/process 77.*SIGKILL/) },
  ],
  [
    "killed early",
    [spawned, gone(null, "SIGTERM")],
    { kind: "vmDied", reason: expect.stringMatching(/SIGTERM/) },
  ],
  [
    "killed before the workspace was written back",
    [...run, exited3, gone(null, "SIGKILL")],
    { kind: "vmDied", reason: expect.stringContaining("SIGKILL") },
  ],
  ["switched off", [...run, gone(0)], { kind: "vmDied", reason: expect.stringContaining("last word") }],
])("%s", (_name, inputs, outcome) => {
  expect(play(inputs)).toEqual({ stage: "ended", lastWord: null, outcome });
});

test("a panic is told from the console, and quoted", () => {
  const console = "[ 1.2] Kernel panic - not syncing: VFS: Unable to mount root fs\r\n[ 1.3] CPU: 0";
  const reason = expect.stringContaining("kernel panicked: VFS: Unable to mount root fs");
  expect(play([spawned, gone(0)], console).outcome).toEqual({ kind: "bootFailed", reason });
  expect(play([...run, gone(0)], console).outcome).toEqual({ kind: "vmDied", reason });
  // While it wrote back: init, which ends QEMU with 1, did not get there.
  expect(play([...run, exited0, gone(0)], console).outcome).toEqual({ kind: "vmDied", reason });
  // A program wrote it.
  expect(play([...run, exited0, gone(1)], console).outcome).toEqual({ kind: "exited", exitCode: 0 });
});

test("a kernel that finds nothing left to kill is out of memory", () => {
  const console = "Kernel panic - not syncing: System is deadlocked on memory\r\n";
  expect(play([...run, gone(0)], console).outcome).toEqual({ kind: "outOfMemory" });
});

test("what QEMU and the console said last is quoted, without control characters", () => {
  const { outcome } = play(
    [spawned, gone(1)],
    "\u001b[2Jone\r\n\r\ntwo\u0007\r\n",
    "qemu: could not load kernel\n",
  );
  expect(outcome).toEqual({
    kind: "bootFailed",
    reason:
      'QEMU (process 77) ended with exit code 1. QEMU wrote: "qemu: could not load kernel". The console ends with: "one / two".',
  });
});
