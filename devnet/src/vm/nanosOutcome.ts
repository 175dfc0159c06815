import { quoteEvidence, type VmEvidence } from "./evidence.ts";
import type { VmOutcome } from "./provider.ts";
import type { ProcessEnd } from "./vmState.ts";

/** What QEMU says of a guest that reset its machine. */
export const GUEST_RESET = "guest-reset";
/** By isa-debug-exit, of the kernel itself. */
const KERNEL_FAULT = 126;

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
