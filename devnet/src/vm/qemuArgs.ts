import { GevulotError } from "gevulot-sdk";
import { volumeArgs } from "./volumes/guestVolumes.ts";
import { vsockArgs } from "./vsock/vsockArgs.ts";
import type { QemuVsock } from "./vsock/vsockHost.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    GPU_ADDRESS_INVALID: { address: string };
  }
}

export interface QemuArgsOptions {
  readonly name: string;
  readonly accelerator: "kvm" | "tcg";
  readonly version: QemuVersion;
  /** QEMU's own system call filter; not every build has it. */
  readonly sandbox: boolean;
  readonly memMib: number;
  readonly cpus: number;
  readonly vmlinuxPath: string;
  readonly initrdPath: string;
  readonly cmdline: string;
  /** The root file system is a part of the image file, which has this number in QEMU. */
  readonly root: { readonly fd: number; readonly offsetBytes: number; readonly lengthBytes: number };
  readonly workspace: { readonly path: string; readonly securityModel: "mapped-xattr" | "mapped-file" };
  /** Disks after the root, by the numbers under which QEMU has their descriptors. */
  readonly volumes?: readonly { readonly fd: number; readonly readonly: boolean }[];
  /** PCI addresses, e.g. `0000:01:00.0`. */
  readonly gpuDevices: readonly string[];
  /** `inheritedAs`: the number under which QEMU has the device's descriptor. */
  readonly vsock?: (QemuVsock & { readonly inheritedAs: number }) | null;
  /** Connected sockets that QEMU inherits. */
  readonly fds: { readonly console: number; readonly control: number; readonly qmp: number };
}

export interface QemuVersion {
  readonly major: number;
  readonly minor: number;
}

/** Linux unpacked from its ELF file does not start in less. */
export const MIN_GUEST_MIB = 128;
/**
 * An emulated guest measures the speed of its processor's counter while it boots; on a busy host it may find a fourth of it,
 * and its clock then runs four times too fast. The timer of the power management has a fixed speed.
 */
const STEADY_CLOCK = " clocksource=acpi_pm";
const NAME_KEY = "guest=";
const PCI_ADDRESS = /^(?:[0-9a-f]{4}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/i;
export const SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny";

/**
 * QEMU's arguments for one task: a lean q35 that starts Linux directly, without network (design of the VM: protocol
 * section 8). Serial port 0 is the console, 1 the control channel.
 *
 * @throws GevulotError `GPU_ADDRESS_INVALID`
 */
export function qemuArgs(options: QemuArgsOptions): string[] {
  const { root, workspace, fds } = options;
  const memMib = Math.max(options.memMib, MIN_GUEST_MIB);
  return [
    ...nameArgs(options.name),
    ...["-nodefaults", "-no-user-config", "-no-reboot"],
    ...["-display", "none"],
    ...machineArgs(options.accelerator, options.version),
    ...["-cpu", "max"],
    ...["-m", `${memMib}M`],
    ...["-smp", String(options.cpus)],
    ...["-kernel", options.vmlinuxPath],
    ...["-initrd", options.initrdPath],
    ...["-append", options.cmdline + (options.accelerator === "tcg" ? STEADY_CLOCK : "")],
    ...imageArgs("image", root.fd),
    ...[
      "-blockdev",
      `driver=raw,node-name=root,file=image,offset=${root.offsetBytes},size=${root.lengthBytes},read-only=on`,
    ],
    // The first disk, hence the guest's /dev/vda.
    ...["-device", "virtio-blk-pci,drive=root"],
    ...(options.volumes ?? []).flatMap((volume, index) => volumeArgs(index, volume.fd, volume.readonly)),
    ...["-device", "virtio-rng-pci"],
    ...workspaceArgs(workspace),
    ...serialArgs("console", fds.console),
    ...serialArgs("control", fds.control),
    ...qmpArgs(fds.qmp),
    ...["-device", "isa-debug-exit,iobase=0x501,iosize=0x4"],
    ...(options.vsock ? vsockArgs(options.vsock, memMib, options.vsock.inheritedAs) : []),
    ...gpuArgs(options.gpuDevices),
    ...(options.sandbox ? ["-sandbox", SANDBOX] : []),
  ];
}

/**
 * q35 without what the guest would spend time on. Its `graphics` stays on: without it the firmware writes to the
 * serial console. TCG has one thread for all processors of a guest: with a thread each, Node.js dies of SIGSEGV in
 * WebAssembly as soon as there are two (QEMU 7.2: 7 of 7 runs, against none), and gains no speed.
 */
export function machineArgs(accelerator: "kvm" | "tcg", version: QemuVersion): string[] {
  const off = ["usb", "sata", "smbus", "vmport", "hpet"];
  if (version.major > 7 || (version.major === 7 && version.minor >= 1)) off.push("i8042");
  return [
    ...["-machine", ["q35", ...off.map((name) => `${name}=off`)].join(",")],
    ...["-accel", accelerator === "tcg" ? "tcg,thread=single" : accelerator],
  ];
}

/**
 * The task's workspace, for the guest's mount tag 0. `mapped`: a link or an owner that the guest makes is only noted, so
 * that it means nothing on the host.
 */
export function workspaceArgs({ path, securityModel }: QemuArgsOptions["workspace"]): string[] {
  const share = `local,id=workspace,path=${escapeCommas(path)},security_model=${securityModel},multidevs=remap`;
  return ["-fsdev", share, "-device", "virtio-9p-pci,fsdev=workspace,mount_tag=0"];
}

/** A mark may look like an option of its own: there is a "=" in some folders' names. */
export function nameArgs(name: string): string[] {
  return ["-name", `${NAME_KEY}${escapeCommas(name)}`];
}

/** The mark in QEMU's arguments, or null. */
export function nameIn(args: readonly string[]): string | null {
  const value = args[args.indexOf("-name") + 1];
  if (!args.includes("-name") || !value?.startsWith(NAME_KEY)) return null;
  return value.slice(NAME_KEY.length).replaceAll(",,", ",");
}

/** No lock: many VMs read one image at once, and nobody writes to it. Inherited, so that its own mode may be strict. */
export function imageArgs(node: string, fd: number): string[] {
  return [
    ...["-add-fd", `fd=${fd},set=0`],
    ...["-blockdev", `driver=file,node-name=${node},filename=/dev/fdset/0,read-only=on,locking=off`],
  ];
}

/** A serial port of the guest that ends at an inherited socket. */
export function serialArgs(id: string, fd: number): string[] {
  return ["-chardev", `socket,id=${id},fd=${fd}`, "-serial", `chardev:${id}`];
}

export function qmpArgs(fd: number): string[] {
  return ["-chardev", `socket,id=qmp,fd=${fd}`, "-mon", "chardev=qmp,mode=control"];
}

export function gpuArgs(addresses: readonly string[]): string[] {
  return addresses.flatMap((address) => ["-device", gpu(address)]);
}

function gpu(address: string): string {
  if (!PCI_ADDRESS.test(address)) {
    throw new GevulotError(
      "GPU_ADDRESS_INVALID",
      `"${address}" is no PCI address. Give one as \`lspci -D\` shows it, e.g. 0000:01:00.0.`,
      { context: { address } },
    );
  }
  return `vfio-pci,rombar=0,host=${address}`;
}

/** In QEMU's option lists a comma within a value is written twice. */
export function escapeCommas(value: string): string {
  return value.replaceAll(",", ",,");
}
