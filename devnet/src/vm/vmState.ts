import { isMemoryPanic, panicOf, quoteEvidence, type VmEvidence } from "./evidence.ts";
import type { GuestMessage } from "./guestMessage.ts";
import type { VmOutcome } from "./provider.ts";

/**
 * `kernel`: the process runs, and its guest has not spoken yet. `leaving`: the program has ended, and the guest
 * writes back its workspace.
 */
export type VmStage = "spawning" | "kernel" | "booted" | "program" | "leaving" | "ended";

export interface VmState {
  readonly stage: VmStage;
  /** How the program ended, by the guest; an outcome once the VM has gone. */
  readonly lastWord: VmOutcome | null;
  /** Set once, with the stage `ended`. */
  readonly outcome: VmOutcome | null;
}

export type VmInput =
  | { readonly kind: "spawned" }
  | { readonly kind: "guest"; readonly message: GuestMessage }
  /** The program had not been started when the time for this was up. */
  | { readonly kind: "bootLimit"; readonly limitMs: number }
  | { readonly kind: "deadline" }
  /** The VM had not gone when the time for writing back was up. */
  | { readonly kind: "leaveLimit"; readonly limitMs: number }
  | { readonly kind: "aborted" }
  /** The host ends it for what it does, or doesn't. */
  | { readonly kind: "limit"; readonly outcome: VmOutcome }
  | { readonly kind: "gone"; readonly end: ProcessEnd };

export interface ProcessEnd {
  readonly pid: number;
  readonly exitCode: number | null;
  readonly signal: string | null;
}

/** Of QEMU, where the guest's init has ended it itself (isa-debug-exit), and not its kernel. */
const LEFT_STATUS = 1;
export const INITIAL_VM_STATE: VmState = { stage: "spawning", lastWord: null, outcome: null };

/**
 * The life of one VM. How the program ended is known from the guest's last word alone; that its process is gone
 * only counts without one, or if it was killed before the workspace was complete. The first outcome stays.
 */
export function nextVmState(state: VmState, input: VmInput, evidence: () => VmEvidence): VmState {
  if (state.outcome !== null) return state;
  switch (input.kind) {
    case "spawned":
      return state.stage === "spawning" ? at("kernel") : state;
    case "aborted":
      return ended({ kind: "cancelled" });
    case "limit":
      return ended(input.outcome);
    case "deadline":
      return state.stage === "leaving" ? state : ended({ kind: "deadline" });
    case "bootLimit":
      return isStarted(state) ? state : ended(bootTimedOut(state, input.limitMs, evidence()));
    case "leaveLimit":
      return state.lastWord === null ? state : ended(cutOff(state.lastWord, input.limitMs));
    case "gone":
      return ended(vanished(state, input.end, evidence()));
    case "guest":
      return afterMessage(state, input.message);
  }
}

function at(stage: VmStage): VmState {
  return { stage, lastWord: null, outcome: null };
}

function ended(outcome: VmOutcome): VmState {
  return { stage: "ended", lastWord: null, outcome };
}

function isStarted({ stage }: VmState): boolean {
  return stage === "program" || stage === "leaving";
}

function afterMessage(state: VmState, message: GuestMessage): VmState {
  if (state.stage === "leaving") {
    return message.kind === "failed" && isSuccess(state.lastWord)
      ? ended({ kind: "vmDied", reason: `the program ended well, but ${message.reason}.` })
      : state;
  }
  switch (message.kind) {
    case "booted":
      return state.stage === "program" ? state : at("booted");
    case "program":
      return at("program");
    case "failed": {
      const kind = state.stage === "program" ? "vmDied" : "bootFailed";
      return ended({ kind, reason: `the guest's init could not go on: ${message.reason}.` });
    }
    default:
      return { stage: "leaving", lastWord: message, outcome: null };
  }
}

function isSuccess(lastWord: VmOutcome | null): boolean {
  return lastWord?.kind === "exited" && lastWord.exitCode === 0;
}

/** What a program that failed says of it counts all the same. */
function cutOff(lastWord: VmOutcome, limitMs: number): VmOutcome {
  if (!isSuccess(lastWord)) return lastWord;
  const reason = `the program ended, and its machine did not finish writing back what it wrote within ${Math.round(limitMs / 1_000)} s`;
  return { kind: "vmDied", reason };
}

function bootTimedOut(state: VmState, limitMs: number, evidence: VmEvidence): VmOutcome {
  const missing = state.stage === "booted" ? "the program was not started" : "the guest's init did not speak";
  return {
    kind: "bootFailed",
    reason: `${missing} within ${limitMs / 1_000} s.${quoteEvidence(evidence)}`,
  };
}

function vanished(state: VmState, end: ProcessEnd, evidence: VmEvidence): VmOutcome {
  const isLeft = end.exitCode === LEFT_STATUS && state.lastWord !== null;
  // A program may write whatever a kernel writes.
  const panic = isLeft ? null : panicOf(evidence.console);
  if (state.lastWord !== null && end.signal === null && panic === null) return state.lastWord;
  const isProgram = isStarted(state);
  if (end.signal === "SIGXFSZ")
    return { kind: "outputLimit", reason: "a file in its workspace outgrew the limit" };
  if (panic !== null && isProgram && isMemoryPanic(panic)) return { kind: "outOfMemory" };
  // A signal comes from the host: that says nothing about the image.
  const kind = isProgram || end.signal !== null ? "vmDied" : "bootFailed";
  return { kind, reason: `${describeEnd(end, panic)}.${quoteEvidence(evidence)}` };
}

function describeEnd({ pid, exitCode, signal }: ProcessEnd, panic: string | null): string {
  if (panic !== null) return `the guest's kernel panicked: ${panic}`;
  if (signal === "SIGKILL")
    return `QEMU (process ${pid}) was ended by SIGKILL: by somebody, or by the host for want of memory`;
  if (signal !== null) return `QEMU (process ${pid}) was ended by ${signal}`;
  if (exitCode === 0) return "the guest switched itself off, or reset, without a last word";
  return `QEMU (process ${pid}) ended with exit code ${exitCode}`;
}
