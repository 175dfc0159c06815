import { expect, test, vi } from "vitest";
import type { VmEvent } from "./provider.ts";
import { createSupervisor, type SupervisorOptions } from "./supervisor.ts";

const LONG_MS = 60_000;
const evidence = () => ({ console: "", stderr: "" });

function start(options: Partial<SupervisorOptions> = {}) {
  const events: VmEvent[] = [];
  const onEvent = (event: VmEvent): number => events.push(event);
  const supervisor = createSupervisor({ deadlineMs: LONG_MS, evidence, onEvent, ...options });
  return { supervisor, events };
}

test("announces each stage once, and ends with the guest's last word", async () => {
  const { supervisor, events } = start();
  supervisor.started(5, "none");
  for (const kind of ["booted", "program", "program", "booted"] as const)
    supervisor.feed({ kind: "guest", message: { kind } });
  supervisor.feed({ kind: "guest", message: { kind: "exited", exitCode: 0 } });
  supervisor.feed({ kind: "gone", end: { pid: 5, exitCode: 1, signal: null } });
  supervisor.feed({ kind: "aborted" });
  expect(await supervisor.outcome).toEqual({ kind: "exited", exitCode: 0 });
  expect(events).toEqual([
    { stage: "spawned", pid: 5, vsock: "none" },
    { stage: "booted" },
    { stage: "program" },
    { stage: "leaving" },
  ]);
});

test.each<[string, Partial<SupervisorOptions>, string]>([
  ["the deadline", { deadlineMs: 10, bootLimitMs: LONG_MS }, "deadline"],
  ["the boot limit", { bootLimitMs: 10 }, "bootFailed"],
  ["the caller", { signal: AbortSignal.timeout(10) }, "cancelled"],
  ["a caller who gave up before", { signal: AbortSignal.abort() }, "cancelled"],
])("%s ends it", async (_name, options, kind) => {
  const { supervisor } = start(options);
  supervisor.started(5, "none");
  expect((await supervisor.outcome).kind).toBe(kind);
});

test("a VM that stays after the last word is not waited for without end", async () => {
  const { supervisor } = start({ leaveLimitMs: 10 });
  supervisor.started(5, "none");
  supervisor.feed({ kind: "guest", message: { kind: "signalled", signal: "SIGSEGV" } });
  expect(await supervisor.outcome).toEqual({ kind: "signalled", signal: "SIGSEGV" });
});

test("a last word does not take a VM far beyond its deadline", async () => {
  vi.useFakeTimers();
  try {
    const { supervisor } = start({ deadlineMs: 10_000, leaveLimitMs: 600_000 });
    supervisor.started(5, "none");
    supervisor.feed({ kind: "guest", message: { kind: "exited", exitCode: 0 } });
    await vi.advanceTimersByTimeAsync(40_000);
    expect(await supervisor.outcome).toEqual({
      kind: "vmDied",
      reason: expect.stringContaining("did not finish writing back what it wrote within 40 s"),
    });
  } finally {
    vi.useRealTimers();
  }
});
