import { expect, test } from "vitest";
import { GUEST_RESET, nanosOutcome } from "./nanosOutcome.ts";
import type { VmOutcome } from "./provider.ts";

const quiet = { console: "", stderr: "" };

test.each<[string, number, string | null, Partial<typeof quiet>, VmOutcome]>([
  ["a power-off", 0, "guest-shutdown", {}, { kind: "exited", exitCode: 0 }],
  ["debug_exit with 0", 1, null, {}, { kind: "exited", exitCode: 0 }],
  [
    "debug_exit with 0 and a warning of QEMU",
    1,
    null,
    { stderr: "qemu: warning: no AVX\n" },
    { kind: "exited", exitCode: 0 },
  ],
  ["debug_exit with 3", 7, null, {}, { kind: "exited", exitCode: 3 }],
  ["debug_exit with 5", 11, null, {}, { kind: "exited", exitCode: 5 }],
  [
    "a fault of the kernel",
    253,
    null,
    { console: "trap" },
    { kind: "vmDied", reason: 'the guest\'s kernel failed. The console ends with: "trap".' },
  ],
  [
    "a reset",
    0,
    GUEST_RESET,
    { console: "failed\n" },
    { kind: "rebooted", reason: 'The console ends with: "failed".' },
  ],
  ["a reset without a word", 0, GUEST_RESET, {}, { kind: "rebooted", reason: "" }],
  [
    "a status that no guest makes",
    2,
    null,
    {},
    { kind: "vmDied", reason: "QEMU (process 9) ended with exit code 2." },
  ],
  [
    "QEMU's own failure",
    1,
    null,
    { stderr: "qemu: -blockdev: no such file\n" },
    {
      kind: "bootFailed",
      reason: 'QEMU (process 9) ended with exit code 1. QEMU wrote: "qemu: -blockdev: no such file".',
    },
  ],
])("%s", (_, exitCode, shutdown, said, wanted) => {
  expect(nanosOutcome({ pid: 9, exitCode, signal: null }, shutdown, { ...quiet, ...said })).toEqual(wanted);
});

test("a signal is the host's doing", () => {
  const end = { pid: 9, exitCode: null, signal: "SIGKILL" };
  expect(nanosOutcome(end, null, quiet)).toMatchObject({
    kind: "vmDied",
    reason: expect.stringMatching(/process 9.*SIGKILL.*memory/),
  });
  expect(nanosOutcome({ ...end, signal: "SIGXFSZ" }, null, quiet)).toMatchObject({ kind: "outputLimit" });
});
