import { isGevulotError } from "gevulot-sdk";
import { expect, test } from "vitest";
import { type QemuArgsOptions, qemuArgs } from "./qemuArgs.ts";

const base: QemuArgsOptions = {
  name: "gevulot-a1",
  accelerator: "tcg",
  version: { major: 7, minor: 2 },
  sandbox: true,
  memMib: 512,
  cpus: 1,
  vmlinuxPath: "/c/vmlinux",
  initrdPath: "/c/initrd",
  cmdline: "console=ttyS0 panic=-1",
  root: { fd: 6, offsetBytes: 1_048_576, lengthBytes: 4_096 },
  workspace: { path: "/w", securityModel: "mapped-xattr" },
  gpuDevices: [],
  fds: { console: 3, control: 4, qmp: 5 },
};

/** The values of an option, in their order. */
function values(option: string, changes: Partial<QemuArgsOptions> = {}): string[] {
  const args = qemuArgs({ ...base, ...changes });
  return args.filter((_, index) => args[index - 1] === option);
}

test.each<[string, Partial<QemuArgsOptions>, string[]]>([
  ["-name", {}, ["guest=gevulot-a1"]],
  ["-name", { name: "a,b=c" }, ["guest=a,,b=c"]],
  ["-add-fd", {}, ["fd=6,set=0"]],
  ["-machine", {}, ["q35,usb=off,sata=off,smbus=off,vmport=off,hpet=off,i8042=off"]],
  ["-accel", {}, ["tcg,thread=single"]],
  ["-accel", { accelerator: "kvm" }, ["kvm"]],
  ["-machine", { version: { major: 6, minor: 2 } }, ["q35,usb=off,sata=off,smbus=off,vmport=off,hpet=off"]],
  ["-cpu", {}, ["max"]],
  ["-m", {}, ["512M"]],
  ["-m", { memMib: 1 }, ["128M"]],
  ["-smp", { cpus: 4 }, ["4"]],
  ["-kernel", { vmlinuxPath: "/a,b" }, ["/a,b"]],
  ["-initrd", {}, ["/c/initrd"]],
  ["-append", {}, ["console=ttyS0 panic=-1 clocksource=acpi_pm"]],
  ["-append", { accelerator: "kvm" }, ["console=ttyS0 panic=-1"]],
  [
    "-blockdev",
    { root: { fd: 7, offsetBytes: 512, lengthBytes: 1_024 } },
    [
      "driver=file,node-name=image,filename=/dev/fdset/0,read-only=on,locking=off",
      "driver=raw,node-name=root,file=image,offset=512,size=1024,read-only=on",
    ],
  ],
  [
    "-fsdev",
    { workspace: { path: "/w,x", securityModel: "mapped-file" } },
    ["local,id=workspace,path=/w,,x,security_model=mapped-file,multidevs=remap"],
  ],
  ["-serial", {}, ["chardev:console", "chardev:control"]],
  ["-chardev", {}, ["socket,id=console,fd=3", "socket,id=control,fd=4", "socket,id=qmp,fd=5"]],
  ["-mon", {}, ["chardev=qmp,mode=control"]],
  [
    "-device",
    { gpuDevices: ["0000:01:00.0", "41:00.1"] },
    [
      "virtio-blk-pci,drive=root",
      "virtio-rng-pci",
      "virtio-9p-pci,fsdev=workspace,mount_tag=0",
      "isa-debug-exit,iobase=0x501,iosize=0x4",
      "vfio-pci,rombar=0,host=0000:01:00.0",
      "vfio-pci,rombar=0,host=41:00.1",
    ],
  ],
  // A guest whose disk is full is told, and not stopped.
  [
    "-device",
    { volumes: [{ fd: 9, readonly: false }] },
    [
      "virtio-blk-pci,drive=root",
      "virtio-blk-pci,drive=volume0,serial=gevulot-0,werror=report,rerror=report",
      "virtio-rng-pci",
      "virtio-9p-pci,fsdev=workspace,mount_tag=0",
      "isa-debug-exit,iobase=0x501,iosize=0x4",
    ],
  ],
  [
    "-add-fd",
    {
      volumes: [
        { fd: 9, readonly: true },
        { fd: 10, readonly: false },
      ],
    },
    ["fd=6,set=0", "fd=9,set=1", "fd=10,set=2"],
  ],
  [
    "-blockdev",
    { volumes: [{ fd: 9, readonly: true }] },
    [
      "driver=file,node-name=image,filename=/dev/fdset/0,read-only=on,locking=off",
      "driver=raw,node-name=root,file=image,offset=1048576,size=4096,read-only=on",
      "driver=file,node-name=volume0-file,filename=/dev/fdset/1,read-only=on,discard=unmap",
      "driver=raw,node-name=volume0,file=volume0-file,read-only=on,discard=unmap",
    ],
  ],
  ["-sandbox", {}, ["on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"]],
  ["-sandbox", { sandbox: false }, []],
  ["-display", {}, ["none"]],
  ["-netdev", {}, []],
  ["-nic", {}, []],
])("%s %j", (option, changes, expected) => {
  expect(values(option, changes)).toEqual(expected);
});

test("has no defaults of the machine or of the user, and does not start anew", () => {
  expect(qemuArgs(base)).toEqual(expect.arrayContaining(["-nodefaults", "-no-user-config", "-no-reboot"]));
});

test.each(["", "01:00", "0000:01:00.8", "01:00.0,x-vga=on", "/dev/vfio/1", "0000:01:00.0 "])(
  "no PCI address: %j",
  (address) => {
    let error: unknown;
    try {
      qemuArgs({ ...base, gpuDevices: [address] });
    } catch (caught) {
      error = caught;
    }
    expect(isGevulotError(error, "GPU_ADDRESS_INVALID") && error.context).toEqual({ address });
  },
);
