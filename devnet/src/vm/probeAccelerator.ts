import { once } from "node:events";
import type { Duplex, Readable } from "node:stream";
import { findQemu, type Qemu, qemuUnusable } from "./findQemu.ts";
import { createLauncher, type Launcher, type RunAs } from "./launcher.ts";
import { type ProcessGroup, startProcessGroup } from "./processGroup.ts";
import { machineArgs, SANDBOX } from "./qemuArgs.ts";
import { createRingBuffer } from "./ringBuffer.ts";

export interface Accelerator {
  readonly name: "kvm" | "tcg";
  /** Why it is not KVM, in words; null where it is. */
  readonly reason: string | null;
  /** The user under which it works. */
  readonly runAs: RunAs | null;
  readonly qemuVersion: string;
}

export interface ProbeOptions {
  readonly qemuPath: string;
  /** For a trial VM to show a sign of life. Default 10,000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** A quiet machine needs a few tenths of a second; one that is too busy for it now is still one that runs VMs. */
const TIMEOUT_MS = 10_000;
const STDERR_BYTES = 4_096;
const FIRMWARE_FD = 3;

/**
 * Finds out whether VMs run under KVM, by running one: that /dev/kvm is there, and even that it opens, says little.
 * The VM has no disk; that its firmware says something proves that its processor runs. Without KVM, the same trial
 * shows that QEMU works at all.
 *
 * @throws GevulotError `QEMU_NOT_FOUND`, `QEMU_UNUSABLE`
 */
export async function probeAccelerator(
  options: ProbeOptions,
  deps: { readonly qemu?: Qemu; readonly launcher?: Launcher } = {},
): Promise<Accelerator> {
  const qemu = deps.qemu ?? (await findQemu(options));
  const launcher = deps.launcher ?? (await createLauncher(options));
  const qemuVersion = qemu.versionText;
  const { unprivileged } = launcher;
  // Where /dev/kvm is for root alone, ten times the speed is worth more than a weaker user.
  const users = unprivileged === null ? [null] : [unprivileged, null];
  let reason: string | null = "KVM exists on Linux only";
  if (process.platform === "linux") {
    for (const runAs of users) {
      reason = await trialReason(qemu, launcher, runAs, "kvm", options);
      if (reason === null) return { name: "kvm", reason, runAs, qemuVersion };
    }
  }
  let problem: string | null = null;
  for (const runAs of users) {
    problem = await trialReason(qemu, launcher, runAs, "tcg", options);
    if (problem === null) return { name: "tcg", reason, runAs, qemuVersion };
  }
  throw qemuUnusable(qemu.path, problem ?? "no trial VM ran");
}

/** Null if a VM with this accelerator runs, else why it does not. */
export async function trialReason(
  qemu: Qemu,
  launcher: Launcher,
  runAs: RunAs | null,
  accelerator: "kvm" | "tcg",
  options: ProbeOptions,
): Promise<string | null> {
  options.signal?.throwIfAborted();
  const args = [
    ...["-nodefaults", "-no-user-config", "-display", "none", "-cpu", "max", "-m", "64M"],
    ...machineArgs(accelerator, qemu.version),
    ...["-chardev", `socket,id=firmware,fd=${FIRMWARE_FD}`],
    ...["-device", "isa-debugcon,iobase=0x402,chardev=firmware"],
    ...(qemu.sandbox ? ["-sandbox", SANDBOX] : []),
  ];
  const group = await startProcessGroup(...launcher.wrap(qemu.path, args, { runAs, noNewPrivileges: true }), {
    stdio: ["ignore", "ignore", "pipe", "pipe"],
    env: {},
  });
  try {
    return await untilSignOfLife(group, options);
  } finally {
    await group.stop();
  }
}

async function untilSignOfLife(group: ProcessGroup, options: ProbeOptions): Promise<string | null> {
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  const stderr = createRingBuffer(STDERR_BYTES);
  group.child.stderr?.on("data", (chunk: Buffer) => stderr.write(chunk));
  const firmware = group.child.stdio[FIRMWARE_FD] as Duplex & Readable;
  const timer = AbortSignal.timeout(timeoutMs);
  const signal = options.signal ? AbortSignal.any([timer, options.signal]) : timer;
  const lived = once(firmware, "data", { signal }).then(
    () => null,
    () => `a trial VM showed no sign of life within ${timeoutMs / 1_000} s`,
  );
  const died = group.ended.then(({ exitCode, signal: by }) => {
    const said = stderr.read().toString("utf8").trim().split("\n").at(-1) ?? "";
    const why = said.replace(/^[^\s:]*qemu[^\s:]*: /, "").replace(/^-accel kvm: /, "");
    // QEMU aborts where the host's KVM promises what it does not do, as some that are themselves virtual.
    const check = /(\w+): Assertion/.exec(why)?.[1];
    if (check !== undefined) return `this machine's KVM does not do what QEMU asks of it (${check})`;
    const hint = /permission denied/i.test(why) ? " (whoever may use /dev/kvm is in its group)" : "";
    return why === ""
      ? `a trial VM ended with ${by ?? `exit code ${exitCode}`}`
      : `a trial VM failed: ${why}${hint}`;
  });
  const reason = await Promise.race([lived, died]);
  options.signal?.throwIfAborted();
  return reason;
}
