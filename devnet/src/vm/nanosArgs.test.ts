import { expect, test } from "vitest";
import { type NanosArgsOptions, nanosArgs } from "./nanosArgs.ts";

const base: NanosArgsOptions = {
  name: "gevulot-a1",
  accelerator: "tcg",
  sandbox: true,
  memMib: 512,
  cpus: 2,
  imageFd: 6,
  workspace: { path: "/w", securityModel: "mapped-xattr" },
  gpuDevices: [],
  fds: { console: 3, qmp: 5 },
};

/** The values of an option, in their order. */
function values(option: string, changes: Partial<NanosArgsOptions> = {}): string[] {
  const args = nanosArgs({ ...base, ...changes });
  return args.filter((_, index) => args[index - 1] === option);
}

test.each<[string, Partial<NanosArgsOptions>, string[]]>([
  ["-name", { name: "a,b=c" }, ["guest=a,,b=c"]],
  ["-machine", {}, ["q35"]],
  ["-accel", {}, ["tcg,thread=single"]],
  ["-accel", { accelerator: "kvm" }, ["kvm"]],
  ["-cpu", {}, ["max"]],
  ["-m", {}, ["512M"]],
  ["-m", { memMib: 1 }, ["128M"]],
  ["-smp", {}, ["2"]],
  ["-kernel", {}, []],
  ["-serial", {}, ["chardev:console"]],
  [
    "-blockdev",
    { imageFd: 7 },
    [
      "driver=file,node-name=file,filename=/dev/fdset/0,read-only=on,locking=off",
      "driver=raw,node-name=image,file=file,read-only=on",
    ],
  ],
  ["-fsdev", {}, ["local,id=workspace,path=/w,security_model=mapped-xattr,multidevs=remap"]],
  [
    "-device",
    {},
    [
      "virtio-scsi-pci,id=scsi0",
      "scsi-hd,bus=scsi0.0,drive=image,bootindex=0",
      "virtio-rng-pci",
      "virtio-9p-pci,fsdev=workspace,mount_tag=0",
      "isa-debug-exit",
    ],
  ],
  ["-sandbox", { sandbox: false }, []],
])("%s with %j", (option, changes, wanted) => {
  expect(values(option, changes)).toEqual(wanted);
});

test("a GPU, a volume and VSOCK come after the machine's own devices", () => {
  const devices = values("-device", {
    gpuDevices: ["0000:01:00.0"],
    volumes: [{ fd: 9, readonly: true }],
    vsock: { kind: "vhost", cid: 7, fd: 20, inheritedAs: 10 },
  });
  expect(devices.slice(5)).toEqual([
    "virtio-blk-pci,drive=volume0,serial=gevulot-0",
    "vfio-pci,rombar=0,host=0000:01:00.0",
    "vhost-vsock-pci,guest-cid=7,vhostfd=10",
  ]);
});

test("neither network nor display, and a reset ends it", () => {
  const args = nanosArgs(base);
  expect(args).toEqual(expect.arrayContaining(["-nodefaults", "-no-reboot", "-display", "none"]));
  expect(args.join(" ")).not.toMatch(/-net|-vga/);
});
