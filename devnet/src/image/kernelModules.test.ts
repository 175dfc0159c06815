import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ensureGuestKernel } from "./ensureGuestKernel.ts";
import { loadKernelModules, readDependencies, withoutSignature } from "./kernelModules.ts";

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "gevulot-modules-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const DEPENDENCIES: Readonly<Record<string, string>> = {
  "drivers/virtio_ring.ko": "",
  "drivers/virtio.ko": "virtio_ring",
  "drivers/virtio_pci.ko": "virtio",
  "drivers/virtio-rng.ko": "virtio",
  "fs/squashfs.ko": "",
  "net/9pnet.ko": "",
  "net/9pnet_virtio.ko": "9pnet,virtio",
  "fs/9p.ko": "9pnet",
  "crypto/crc32c_generic.ko": "",
  "fs/jbd2.ko": "",
  "fs/ext4.ko": "jbd2",
  "fs/overlay.ko": "",
  "scsi/virtio_scsi.ko": "virtio",
  "scsi/sd_mod.ko": "",
  "net/vmw_vsock_virtio_transport.ko": "virtio",
  "net/vsock_loopback.ko": "",
};
const moduleData = (depends: string) => Buffer.from(`ELF\0name=x\0depends=${depends}\0license=GPL\0`);

async function writeModules(folder: string, without?: string): Promise<string> {
  for (const [path, depends] of Object.entries(DEPENDENCIES)) {
    if (path === without) continue;
    const isPacked = path.startsWith("scsi/");
    const file = join(root, folder, "kernel", isPacked ? `${path}.gz` : path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, isPacked ? gzipSync(moduleData(depends)) : moduleData(depends));
  }
  await writeFile(join(root, folder, "modules.builtin"), "kernel/drivers/block/virtio_blk.ko\n");
  return join(root, folder);
}

describe("loadKernelModules", () => {
  test("each module once, after what it depends on; without what is built in; unpacked", async () => {
    const { order, modules } = await loadKernelModules(await writeModules("all"));
    const base = [
      "virtio_ring",
      "virtio",
      "virtio_pci",
      "virtio_rng",
      "squashfs",
      "9pnet",
      "9pnet_virtio",
      "9p",
    ];
    expect(order).toEqual({
      base,
      volumes: ["crc32c_generic", "jbd2", "ext4"],
      overlay: ["overlay"],
      scsi: ["virtio_scsi", "sd_mod"],
      vsock: ["vmw_vsock_virtio_transport"],
      loopback: ["vsock_loopback"],
    });
    expect(modules.find(({ name }) => name === "sd_mod")?.data.equals(moduleData(""))).toBe(true);
    expect(new Set(modules.map(({ name }) => name)).size).toBe(modules.length);
  });

  test("names the module that lacks", async () => {
    await expect(loadKernelModules(await writeModules("some", "fs/9p.ko"))).rejects.toMatchObject({
      code: "KERNEL_MODULE_MISSING",
      context: { module: "9p" },
    });
    await expect(loadKernelModules(join(root, "none"))).rejects.toMatchObject({
      code: "KERNEL_MODULE_MISSING",
    });
  });

  test("reads Debian's, whose signatures are left out", async () => {
    const kernel = await ensureGuestKernel({ cacheDir: join(homedir(), ".cache", "gevulot") });
    const { modules, order } = await loadKernelModules(kernel.modulesDir);
    for (const set of Object.values(order)) {
      set.forEach((name) => {
        const data = modules.find((module) => module.name === name)?.data ?? Buffer.alloc(0);
        expect(data.subarray(0, 4)).toEqual(Buffer.from([0x7f, 0x45, 0x4c, 0x46]));
        expect(data.includes("~Module signature appended~")).toBe(false);
      });
    }
    expect(order.base.indexOf("virtio_ring")).toBeLessThan(order.base.indexOf("virtio_pci"));
  });
});

test("readDependencies takes dashes for underscores", () => {
  expect(readDependencies(moduleData("a-b,c"))).toEqual(["a_b", "c"]);
  expect(readDependencies(Buffer.from("nothing"))).toEqual([]);
});

test("withoutSignature leaves what has none, or a damaged one", () => {
  const mark = Buffer.from("~Module signature appended~\n");
  const signed = (length: number) => {
    const info = Buffer.alloc(12);
    info.writeUInt32BE(length, 8);
    return Buffer.concat([Buffer.from("module"), Buffer.from("sig"), info, mark]);
  };
  expect(withoutSignature(signed(3)).toString()).toBe("module");
  for (const bytes of [Buffer.from("module"), mark, signed(1000)])
    expect(withoutSignature(bytes)).toBe(bytes);
});
