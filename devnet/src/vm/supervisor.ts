import type { VmEvidence } from "./evidence.ts";
import type { VmEvent, VmOutcome } from "./provider.ts";
import { INITIAL_VM_STATE, nextVmState, type VmInput, type VmStage } from "./vmState.ts";
import type { VsockKind } from "./vsock/vsockHost.ts";

export interface SupervisorOptions {
  /** From now to the end of the program. */
  readonly deadlineMs: number;
  /** From now to the start of the program; none for host processes. */
  readonly bootLimitMs?: number;
  /** From the program's end to the VM's, in which it writes back; past the deadline never more than 30,000, the default. */
  readonly leaveLimitMs?: number | undefined;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: VmEvent) => void;
  readonly evidence: () => VmEvidence;
}

export interface Supervisor extends Disposable {
  feed(input: VmInput): void;
  started(pid: number, vsock: VsockKind): void;
  readonly outcome: Promise<VmOutcome>;
}

/** The longest that timers can count; about 25 days. */
export const MAX_TIMER_MS = 2 ** 31 - 1;
const LEAVE_LIMIT_MS = 30_000;

/** Joins what the guest says, time and the caller's signal into exactly one outcome. */
export function createSupervisor(options: SupervisorOptions): Supervisor {
  const { signal, bootLimitMs, leaveLimitMs = LEAVE_LIMIT_MS } = options;
  const deadlineAtMs = performance.now() + options.deadlineMs;
  let state = INITIAL_VM_STATE;
  let settle: (outcome: VmOutcome) => void;
  const outcome = new Promise<VmOutcome>((resolve) => {
    settle = resolve;
  });

  const feed = (input: VmInput): void => {
    const before = state.stage;
    state = nextVmState(state, input, options.evidence);
    if (state.stage !== before) announce(state.stage, options.onEvent);
    if (state.stage === "leaving" && before !== "leaving") {
      // The program's end is the guest's word, who could go on after it.
      const limitMs = Math.min(leaveLimitMs, Math.max(0, deadlineAtMs - performance.now()) + LEAVE_LIMIT_MS);
      timers.push(setTimeout(() => feed({ kind: "leaveLimit", limitMs }), limitMs));
    }
    if (state.outcome !== null) {
      dispose();
      settle(state.outcome);
    }
  };
  const onAbort = (): void => feed({ kind: "aborted" });
  const timers = [setTimeout(() => feed({ kind: "deadline" }), Math.min(options.deadlineMs, MAX_TIMER_MS))];
  if (bootLimitMs !== undefined) {
    timers.push(setTimeout(() => feed({ kind: "bootLimit", limitMs: bootLimitMs }), bootLimitMs));
  }
  const dispose = (): void => {
    for (const timer of timers) clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  };
  signal?.addEventListener("abort", onAbort, { once: true });
  if (signal?.aborted) onAbort();

  return {
    feed,
    started(pid, vsock) {
      options.onEvent?.({ stage: "spawned", pid, vsock });
      feed({ kind: "spawned" });
    },
    outcome,
    [Symbol.dispose]: dispose,
  };
}

function announce(stage: VmStage, onEvent: SupervisorOptions["onEvent"]): void {
  if (stage === "booted" || stage === "program" || stage === "leaving") onEvent?.({ stage });
}

/** Until a moment of `performance.now()`; for ever without one. */
export function timeLeft(endsAtMs: number | undefined): number {
  return endsAtMs === undefined
    ? Number.POSITIVE_INFINITY
    : Math.max(0, Math.ceil(endsAtMs - performance.now()));
}
