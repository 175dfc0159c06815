import { describe, expect, test } from "vitest";
import { withResult } from "../vm/nanosOutcome.ts";
import type { VmOutcome } from "../vm/provider.ts";
import { explainOutcome, type OutcomeFacts } from "./explainOutcome.ts";
import type { ProgramResult } from "./readResult.ts";

const facts: OutcomeFacts = { step: 0, deadline: { ms: 5_000, setBy: "node" }, memMib: 512 };
const ok: ProgramResult = { kind: "ok", data: Uint8Array.of(1), files: [] };
const missing: ProgramResult = { kind: "missing" };
const err: ProgramResult = { kind: "err", message: "the witness is wrong" };
const exited = (exitCode: number): VmOutcome => ({ kind: "exited", exitCode });

describe("explainOutcome", () => {
  test("a result counts where the program ended well", () => {
    expect(explainOutcome(exited(0), ok, facts)).toBe(ok);
  });

  test.each<VmOutcome>([
    exited(3),
    { kind: "rebooted", reason: "" },
    { kind: "vmDied", reason: "the guest's kernel failed." },
    { kind: "deadline" },
    { kind: "idle", idleMs: 3_000 },
  ])("a result of Nanos counts, whatever came after it: %j", (outcome) => {
    expect(explainOutcome(withResult(outcome), ok, facts)).toBe(ok);
    expect(explainOutcome(withResult(outcome), missing, facts)).toHaveProperty("code");
    expect(explainOutcome(outcome, ok, facts)).toHaveProperty("code");
  });

  test.each<[string, VmOutcome, ProgramResult, string, RegExp]>([
    ["the program's message", exited(1), err, "PROGRAM_FAILED", /^the witness is wrong$/],
    ["its message, though it ended well", exited(0), err, "PROGRAM_FAILED", /^the witness is wrong$/],
    ["an exit code", exited(3), missing, "PROGRAM_FAILED", /exit code 3/],
    ["an exit code after a result", exited(3), ok, "PROGRAM_FAILED", /exit code 3/],
    ["a signal", { kind: "signalled", signal: "SIGSEGV" }, missing, "PROGRAM_FAILED", /SIGSEGV/],
    ["no result", exited(0), missing, "RESULT_INVALID", /task_result.json is missing/],
    [
      "a bad result",
      exited(0),
      { kind: "invalid", problem: "it is a link" },
      "RESULT_INVALID",
      /it is a link/,
    ],
    ["memory", { kind: "outOfMemory" }, missing, "OUT_OF_MEMORY", /has 512 MiB/],
    ["no boot", { kind: "bootFailed", reason: "no kernel" }, missing, "BOOT_FAILED", /no kernel/],
    ["a dead VM", { kind: "vmDied", reason: "SIGKILL" }, ok, "VM_DIED", /SIGKILL/],
    ["the deadline", { kind: "deadline" }, missing, "DEADLINE", /within 5 s/],
    ["nothing done", { kind: "idle", idleMs: 3_000 }, missing, "DEADLINE", /did nothing for 3 s/],
    ["too much left", { kind: "outputLimit", reason: "1 TB" }, ok, "OUTPUT_LIMIT", /stopped: 1 TB\./],
    ["no volume", { kind: "unavailable", reason: "no volume v" }, missing, "INPUT_MISSING", /no volume v/],
    ["a cancel", { kind: "cancelled" }, missing, "CANCELLED", /cancelled/],
  ])("%s", (_, outcome, result, code, message) => {
    const failure = explainOutcome(outcome, result, facts);
    expect(failure).toMatchObject({
      code,
      step: 0,
      message: expect.stringMatching(message),
    });
  });
});
