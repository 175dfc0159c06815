import type { TaskFailure, TaskFailureCode } from "gevulot-sdk";
import type { VmOutcome } from "../vm/provider.ts";
import { describeDeadline, type TaskDeadline } from "./firstDeadline.ts";
import type { ProgramResult } from "./readResult.ts";

export interface OutcomeFacts {
  readonly step: number;
  readonly deadline: TaskDeadline;
  readonly memMib: number;
}

/**
 * Joins how the VM ended with what the program left into the task's result, or the one failure that people are
 * told (its console is added later). A result counts only where the program ended well, or where nothing is known of its end;
 * a message that the program left counts always.
 */
export function explainOutcome(
  outcome: VmOutcome,
  result: ProgramResult,
  facts: OutcomeFacts,
): Extract<ProgramResult, { kind: "ok" }> | TaskFailure {
  const fail = (code: TaskFailureCode, message: string, more: Partial<TaskFailure> = {}): TaskFailure => ({
    code,
    message,
    step: facts.step,
    exitCode: null,
    signal: null,
    consoleTail: "",
    ...more,
  });
  const exitCode = outcome.kind === "exited" ? outcome.exitCode : null;
  if (outcome.resultDecides && result.kind === "ok") return result;

  switch (outcome.kind) {
    case "unavailable":
      return fail("INPUT_MISSING", outcome.reason);
    case "outputLimit":
      return fail("OUTPUT_LIMIT", `The program was stopped: ${outcome.reason}.`);
    case "idle":
      return fail("DEADLINE", `The program did nothing for ${outcome.idleMs / 1000} s and was stopped.`);
    case "cancelled":
      return fail("CANCELLED", "The task was cancelled.");
    case "deadline":
      return fail("DEADLINE", `The program did not end ${describeDeadline(facts.deadline)} and was stopped.`);
    case "bootFailed":
      return fail("BOOT_FAILED", `The image did not boot: ${outcome.reason}`);
    case "vmDied":
      return fail("VM_DIED", `The virtual machine ended before the program did: ${outcome.reason}`);
    case "outOfMemory":
      return fail(
        "OUT_OF_MEMORY",
        `The program was killed for want of memory; it has ${facts.memMib} MiB. Deploy it with more (memMib).`,
        { signal: "SIGKILL" },
      );
    case "rebooted":
      if (result.kind === "err") return fail("PROGRAM_FAILED", result.message);
      return fail(
        "PROGRAM_FAILED",
        `The program failed and rebooted (the image's RebootOnExit): it was stopped, as it would do so for ever. ${outcome.reason}`.trim(),
      );
    case "signalled":
      return fail("PROGRAM_FAILED", `The program was ended by ${outcome.signal}.`, {
        signal: outcome.signal,
      });
    case "exited":
      break;
  }
  if (result.kind === "err") return fail("PROGRAM_FAILED", result.message, { exitCode });
  if (exitCode !== 0)
    return fail("PROGRAM_FAILED", `The program ended with exit code ${exitCode}.`, { exitCode });
  if (result.kind === "missing") {
    return fail(
      "RESULT_INVALID",
      "The program ended without leaving a result (task_result.json is missing). " +
        "One that knows nothing of tasks goes into its image with --exec.",
      {
        exitCode,
      },
    );
  }
  if (result.kind === "invalid")
    return fail("RESULT_INVALID", `The result can't be read: ${result.problem}.`, { exitCode });
  return result;
}
