import {
  gpuArgs,
  imageArgs,
  MIN_GUEST_MIB,
  nameArgs,
  type QemuArgsOptions,
  qmpArgs,
  SANDBOX,
  serialArgs,
  workspaceArgs,
} from "./qemuArgs.ts";
import { volumeArgs } from "./volumes/guestVolumes.ts";
import { vsockArgs } from "./vsock/vsockArgs.ts";

export interface NanosArgsOptions
  extends Pick<
    QemuArgsOptions,
    "name" | "accelerator" | "sandbox" | "memMib" | "cpus" | "workspace" | "gpuDevices" | "vsock" | "volumes"
  > {
  /** The image's number in QEMU. */
  readonly imageFd: number;
  readonly fds: Pick<QemuArgsOptions["fds"], "console" | "qmp">;
}

/**
 * QEMU's arguments for a Nanos image, with the devices of the existing node (protocol section 8): a whole q35, the image
 * as a read-only SCSI disk that the BIOS boots, the workspace with tag 0. The console is the only serial port.
 *
 * A reset ends the VM: Nanos resets when its program fails and the image says RebootOnExit, and would begin anew in the
 * same workspace.
 *
 * @throws GevulotError `GPU_ADDRESS_INVALID`
 */
export function nanosArgs(options: NanosArgsOptions): string[] {
  const { imageFd, workspace, fds, accelerator } = options;
  const memMib = Math.max(options.memMib, MIN_GUEST_MIB);
  return [
    ...nameArgs(options.name),
    ...["-nodefaults", "-no-user-config", "-no-reboot"],
    ...["-display", "none"],
    ...["-machine", "q35"],
    ...["-accel", accelerator === "tcg" ? "tcg,thread=single" : accelerator],
    ...["-cpu", "max"],
    ...["-m", `${memMib}M`],
    ...["-smp", String(options.cpus)],
    ...imageArgs("file", imageFd),
    ...["-blockdev", "driver=raw,node-name=image,file=file,read-only=on"],
    ...["-device", "virtio-scsi-pci,id=scsi0"],
    ...["-device", "scsi-hd,bus=scsi0.0,drive=image,bootindex=0"],
    ...["-device", "virtio-rng-pci"],
    ...workspaceArgs(workspace),
    ...serialArgs("console", fds.console),
    ...qmpArgs(fds.qmp),
    ...["-device", "isa-debug-exit"],
    ...(options.volumes ?? []).flatMap((volume, index) => volumeArgs(index, volume.fd, volume.readonly)),
    ...gpuArgs(options.gpuDevices),
    ...(options.vsock ? vsockArgs(options.vsock, memMib, options.vsock.inheritedAs) : []),
    ...(options.sandbox ? ["-sandbox", SANDBOX] : []),
  ];
}
