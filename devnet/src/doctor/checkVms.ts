import { access, readFile } from "node:fs/promises";
import { userInfo } from "node:os";
import { join } from "node:path";
import { isGevulotError } from "gevulot-sdk";
import { pino } from "pino";
import { findQemu } from "../vm/findQemu.ts";
import { createLauncher } from "../vm/launcher.ts";
import { type Accelerator, probeAccelerator } from "../vm/probeAccelerator.ts";
import { createVsockHost } from "../vm/vsock/createVsockHost.ts";
import { type Finding, fail, type MachineRoots, ok, warn } from "./finding.ts";

/** QEMU, KVM and VSOCK, found out by using them: VMs are started. */
export async function checkVms(roots: MachineRoots, qemuPath: string): Promise<Finding[]> {
  const options = { qemuPath };
  let accelerator: Accelerator;
  const launcher = await createLauncher();
  try {
    accelerator = await probeAccelerator(options, { qemu: await findQemu(options), launcher });
  } catch (error) {
    return [qemuProblem(error)];
  }
  const { qemuVersion, runAs } = accelerator;
  await using vsock = await createVsockHost({ log: pino({ level: "silent" }), launcher, runAs });
  return [
    ok("QEMU", qemuVersion),
    accelerator.reason === null
      ? ok("KVM", "a VM ran under it")
      : kvmProblem(accelerator.reason, await readKvmFacts(roots)),
    vsock.kind === "none"
      ? warn("VSOCK", `none, so that tasks travel as files: ${vsock.detail}`, VSOCK_MEND)
      : ok("VSOCK", `${vsock.kind} (${vsock.detail})`),
  ];
}

const VSOCK_MEND =
  "sudo modprobe vhost_vsock and rights on /dev/vhost-vsock, or cargo install vhost-device-vsock; programs without our shim need one of them";

function qemuProblem(error: unknown): Finding {
  if (isGevulotError(error, "QEMU_NOT_FOUND")) {
    const { qemuPath, install } = error.context;
    const mend = `${install} (\`up --provider process\` does without, for quick tests)`;
    return fail("QEMU", `${qemuPath} was not found.`, mend);
  }
  if (isGevulotError(error, "QEMU_UNUSABLE")) {
    return fail(
      "QEMU",
      `${error.context.qemuPath}: ${error.context.reason}`,
      "Give the path of another one: --qemu-path",
    );
  }
  throw error;
}

export interface KvmFacts {
  readonly hasDevice: boolean;
  /** Of the processor: `vmx` (Intel) or `svm` (AMD); null where the system shows neither. */
  readonly extension: "vmx" | "svm" | null;
  readonly user: string;
}

export async function readKvmFacts({ proc, dev }: Pick<MachineRoots, "proc" | "dev">): Promise<KvmFacts> {
  const cpuinfo = await readFile(join(proc, "cpuinfo"), "utf8").catch(() => "");
  const flags = (/^flags\s*:(.*)$/m.exec(cpuinfo)?.[1] ?? "").split(" ");
  const hasDevice = await access(join(dev, "kvm")).then(
    () => true,
    () => false,
  );
  const extension = flags.includes("vmx") ? "vmx" : flags.includes("svm") ? "svm" : null;
  return { hasDevice, extension, user: userInfo().username };
}

/** VMs run without it, about ten times slower. */
export function kvmProblem(reason: string, { hasDevice, extension, user }: KvmFacts): Finding {
  const text = `not usable, VMs run about ten times slower: ${reason}`;
  if (/permission denied/i.test(reason))
    return warn("KVM", text, `sudo usermod -aG kvm ${user}, and log in again`);
  if (hasDevice) {
    const mend =
      "See `dmesg | grep -i kvm`; on a virtual machine, its host must allow nested virtualization.";
    return warn("KVM", text, mend);
  }
  if (extension !== null)
    return warn("KVM", text, `sudo modprobe ${extension === "vmx" ? "kvm_intel" : "kvm_amd"}`);
  const mend =
    "Switch on virtualization (VT-x, AMD-V) in the firmware; on a virtual machine, nested virtualization at its host.";
  return warn("KVM", text, mend);
}
