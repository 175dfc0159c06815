import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { PreparedBoot } from "../../../devnet/src/image/prepareBoot.ts";
import { findQemu } from "../../../devnet/src/vm/findQemu.ts";
import { machineArgs } from "../../../devnet/src/vm/qemuArgs.ts";
import { firstByteOf } from "./console.ts";

export interface BareOptions {
  readonly imagePath: string;
  readonly boot: PreparedBoot;
  readonly accelerator: "kvm" | "tcg";
  readonly memMib: number;
  /** Emptied at each start. */
  readonly folder: string;
  readonly timeoutMs: number;
}

/**
 * What a shell script would do: QEMU on the unpacked kernel, the same root and an empty share, and nothing around it.
 * @returns milliseconds from the start of the process to the program's first byte on the console.
 */
export async function startBare(options: BareOptions): Promise<number> {
  const { boot, folder, imagePath } = options;
  await rm(folder, { recursive: true, force: true });
  const workspace = join(folder, "workspace");
  await mkdir(workspace, { recursive: true });
  const consolePath = join(folder, "console");
  const qemu = await findQemu({ qemuPath: "qemu-system-x86_64" });
  const root = `offset=${boot.rootOffset},size=${boot.rootLength}`;
  const args = [
    ...["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"],
    ...machineArgs(options.accelerator, qemu.version),
    ...["-cpu", "max", "-m", `${options.memMib}M`, "-smp", "1"],
    ...["-kernel", boot.vmlinuxPath, "-initrd", boot.initrdPath, "-append", boot.cmdline],
    ...["-blockdev", `driver=file,node-name=image,filename=${imagePath},read-only=on`],
    ...["-blockdev", `driver=raw,node-name=root,file=image,${root},read-only=on`],
    ...["-device", "virtio-blk-pci,drive=root"],
    ...["-device", "virtio-rng-pci"],
    ...["-fsdev", `local,id=workspace,path=${workspace},security_model=mapped-xattr`],
    ...["-device", "virtio-9p-pci,fsdev=workspace,mount_tag=0"],
    ...["-serial", `file:${consolePath}`],
    ...["-device", "isa-debug-exit,iobase=0x501,iosize=0x4"],
  ];
  using first = firstByteOf(consolePath, options.timeoutMs);
  const begun = performance.timeOrigin + performance.now();
  const child = spawn(qemu.path, args, { stdio: "ignore" });
  const ended = once(child, "exit");
  try {
    return (await first.at) - begun;
  } finally {
    child.kill("SIGKILL");
    await ended;
  }
}
