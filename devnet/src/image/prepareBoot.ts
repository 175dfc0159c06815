import { access, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { cachedFolder } from "./cachedFolder.ts";
import type { ImageInfo } from "./descriptor.ts";
import { extractVmlinux } from "./extractVmlinux.ts";
import { KERNEL_FLAGS } from "./kernelFlags.ts";
import { readExtent, readImage } from "./readImage.ts";

export interface PrepareBootOptions {
  readonly imagePath: string;
  readonly cacheDir: string;
  readonly signal?: AbortSignal;
}

export interface PreparedBoot {
  /** Uncompressed ELF, for QEMU's -kernel. */
  readonly vmlinuxPath: string;
  /** For QEMU's -initrd; not packed. */
  readonly initrdPath: string;
  /** The root file system within the image file, in bytes. */
  readonly rootOffset: number;
  readonly rootLength: number;
  /** For QEMU's -append, as it is. */
  readonly cmdline: string;
  /** The program takes its task over VSOCK alone: so its file or the image's environment says. */
  readonly needsVsock: boolean;
  readonly info: ImageInfo;
}

const CMDLINE = `${KERNEL_FLAGS} gv.root=/dev/vda`;

/**
 * Takes out of an image what QEMU needs to boot it directly, once for all images with the same kernel. Safe for many
 * at once.
 *
 * The virtual machine must have: the image's bytes from `rootOffset`, `rootLength` of them, read-only as its **first
 * virtio-blk disk** (`/dev/vda`); a 9p share with the mount tag `0`; the console as its first serial port; virtio-rng;
 * isa-debug-exit at port 0x501. On its second serial port the guest's init reports, a line each (ended by CR LF, as a
 * terminal does), times being seconds since the kernel's start:
 *
 * - `GV booted <uptime>`: the root file system is mounted.
 * - `GV program <uptime>`: the workspace is mounted, the program is being started.
 * - then one of `GV exited <code> <uptime>`, `GV signalled <number> <uptime>`, `GV oom <uptime>` (the guest's kernel
 *   killed the program, or a process of it that it could not do without, for want of memory), or `GV failed <text>`
 *   (init itself could not go on; this one may come at any moment).
 *
 * Then QEMU ends with the status 1 (isa-debug-exit, value 0); the status says nothing about the program.
 *
 * @throws GevulotError `IMAGE_INVALID`, `KERNEL_INVALID`, `TOOL_NOT_FOUND`
 */
export async function prepareBoot(options: PrepareBootOptions): Promise<PreparedBoot> {
  const info = await readImage(options.imagePath);
  // One after the other: an image may have made them large.
  const vmlinuxPath = await unpackKernel(options, info);
  const initrdPath = await unpackInitrd(options, info);
  for (const path of [vmlinuxPath, initrdPath]) await access(path);
  return {
    vmlinuxPath,
    initrdPath,
    rootOffset: info.root.offset,
    rootLength: info.root.length,
    cmdline: CMDLINE,
    needsVsock: info.program.needsVsock === true || info.program.env.GEVULOT_TRANSPORT === "vsock",
    info,
  };
}

async function unpackKernel(
  { imagePath, cacheDir, signal }: PrepareBootOptions,
  { kernel }: ImageInfo,
): Promise<string> {
  const packed = await readExtent(imagePath, "kernel", kernel);
  const folder = await cachedFolder(join(cacheDir, "vmlinux", kernel.sha256), async (made) => {
    const vmlinux = await extractVmlinux(packed, { name: `of ${imagePath}`, ...(signal ? { signal } : {}) });
    await writeFile(join(made, "vmlinux"), vmlinux);
  });
  return join(folder, "vmlinux");
}

async function unpackInitrd(
  { imagePath, cacheDir }: PrepareBootOptions,
  { initrd }: ImageInfo,
): Promise<string> {
  const bytes = await readExtent(imagePath, "initrd", initrd);
  const folder = await cachedFolder(join(cacheDir, "initrd", initrd.sha256), (made) =>
    writeFile(join(made, "initrd"), bytes),
  );
  return join(folder, "initrd");
}
