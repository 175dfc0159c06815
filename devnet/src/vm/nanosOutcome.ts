import { quoteEvidence, type VmEvidence } from "./evidence.ts";
import type { VmOutcome } from "./provider.ts";
import type { ProcessEnd } from "./vmState.ts";
import type { TaskExchange } from "./vsock/taskExchange.ts";

/** What QEMU says of a guest that reset its machine. */
export const GUEST_RESET = "guest-reset";
/** By isa-debug-exit, of the kernel itself. */
const KERNEL_FAULT = 126;
const DECIDED: ReadonlySet<VmOutcome["kind"]> = new Set(["exited", "rebooted", "vmDied", "deadline", "idle"]);
/** For a program to end by itself. */
const LEAVE_MS = 5_000;
const LOOK_MS = 250;

/**
 * How a Nanos guest ended (the protocol's packaging page, section 5). It says nothing of its program but by QEMU's status
 * and by the reason for which the machine stopped; status 0 is no success, only the end: what the program left in its
 * workspace decides.
 *
 * @param shutdown the reason that QEMU gave, where it gave one
 */
export function nanosOutcome(end: ProcessEnd, shutdown: string | null, evidence: VmEvidence): VmOutcome {
  const quoted = quoteEvidence(evidence);
  if (end.signal === "SIGXFSZ") {
    return { kind: "outputLimit", reason: "a file in its workspace outgrew the limit" };
  }
  if (end.signal !== null) {
    const by = end.signal === "SIGKILL" ? ": by somebody, or by the host for want of memory" : "";
    return { kind: "vmDied", reason: `QEMU (process ${end.pid}) was ended by ${end.signal}${by}.${quoted}` };
  }
  if (shutdown === GUEST_RESET) return { kind: "rebooted", reason: quoted.trim() };
  const status = end.exitCode ?? 0;
  if (status === 0) return { kind: "exited", exitCode: 0 };
  // QEMU's own failures are 1 as well; then QEMU says why.
  if (status === 1 && shutdown === null && /^(?!.*warning:).*\S/m.test(evidence.stderr)) {
    return { kind: "bootFailed", reason: `QEMU (process ${end.pid}) ended with exit code 1.${quoted}` };
  }
  if (status % 2 === 0) {
    return { kind: "vmDied", reason: `QEMU (process ${end.pid}) ended with exit code ${status}.${quoted}` };
  }
  const exitCode = (status - 1) / 2;
  if (exitCode === KERNEL_FAULT) return { kind: "vmDied", reason: `the guest's kernel failed.${quoted}` };
  return { kind: "exited", exitCode };
}

/** What the program left decides, as far as the VM was not ended for what it does. */
export function withResult(outcome: VmOutcome): VmOutcome {
  return DECIDED.has(outcome.kind) ? { ...outcome, resultDecides: true } : outcome;
}

/**
 * Ends a VM some seconds after its program handed its result back: an image may idle on from then on (ops's
 * `idle_on_exit`).
 */
export function endWhenSubmitted(
  exchange: Pick<TaskExchange, "submitted"> | undefined,
  end: (outcome: VmOutcome) => void,
  leaveMs = LEAVE_MS,
): Disposable {
  let waitedMs = 0;
  const timer = setInterval(() => {
    if (exchange?.submitted == null) return;
    waitedMs += LOOK_MS;
    if (waitedMs >= leaveMs) end({ kind: "exited", exitCode: 0 });
  }, LOOK_MS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
