import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { makeElf } from "../../../test/fixtures/makeElf.ts";
import { ensureGuestKernel } from "./ensureGuestKernel.ts";
import { extractVmlinux, readKernelVersion } from "./extractVmlinux.ts";
import { runTool } from "./runTool.ts";

const name = "the kernel";
const vmlinux = makeElf({ pvhNote: true });
const SETUP_BYTES = 1024;

/** A bzImage with one setup sector, its version text and the payload behind them. */
function bzImage(payload: Buffer): Buffer {
  const head = Buffer.alloc(SETUP_BYTES);
  head.writeUInt8(1, 0x1f1);
  head.write("HdrS", 0x202);
  head.writeUInt16LE(0x20f, 0x206);
  head.writeUInt16LE(0x100, 0x20e);
  head.write("6.1.0-test (somebody) #1", 0x300);
  head.writeUInt32LE(0, 0x248);
  head.writeUInt32LE(payload.length, 0x24c);
  return Buffer.concat([head, payload]);
}
const withSize = (packed: Buffer) => Buffer.concat([packed, Buffer.from([1, 2, 3, 4])]);
const patched = (change: (bytes: Buffer) => unknown) => {
  const bytes = bzImage(gzipSync(vmlinux));
  change(bytes);
  return bytes;
};

describe("extractVmlinux", () => {
  test("unpacks Debian's kernel", async () => {
    const kernel = await ensureGuestKernel({ cacheDir: join(homedir(), ".cache", "gevulot") });
    const bytes = await readFile(kernel.kernelPath);
    expect(readKernelVersion(bytes)).toBe(kernel.version);
    expect(kernel.version).toMatch(/^\d+\.\d+\./);
    const unpacked = await extractVmlinux(bytes, { name });
    expect(unpacked.length).toBeGreaterThan(bytes.length);
    expect(unpacked.includes(`Linux version ${kernel.version}`)).toBe(true);
  });

  test("unpacks gzip, xz, zstd, and takes a vmlinux as it is", async () => {
    const packed = [
      vmlinux,
      bzImage(gzipSync(vmlinux)),
      bzImage(withSize(await runTool("xz", ["-c"], { input: vmlinux }))),
      bzImage(withSize(await runTool("zstd", ["-cq"], { input: vmlinux }))),
    ];
    for (const kernel of packed) expect((await extractVmlinux(kernel, { name })).equals(vmlinux)).toBe(true);
  });

  test("what a stranger packed stops nobody else while it is unpacked", async () => {
    const bytes = bzImage(gzipSync(Buffer.alloc(64 * 2 ** 20)));
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    await expect(extractVmlinux(bytes, { name })).rejects.toMatchObject({ code: "KERNEL_INVALID" });
    clearInterval(timer);
    expect(ticks).toBeGreaterThan(0);
  });

  test("reads a version, and tells that there is none", () => {
    expect(readKernelVersion(bzImage(vmlinux))).toBe("6.1.0-test");
    expect(readKernelVersion(Buffer.alloc(5000))).toBeUndefined();
  });

  const wrong: [name: string, bytes: Buffer, reason: RegExp][] = [
    ["nothing", Buffer.alloc(0), /not a Linux kernel for x86/],
    ["zeros", Buffer.alloc(10_000), /not a Linux kernel for x86/],
    ["an old protocol", patched((bytes) => bytes.writeUInt16LE(0x207, 0x206)), /too old/],
    ["a cut", bzImage(gzipSync(vmlinux)).subarray(0, -10), /cut off/],
    ["a payload outside", patched((bytes) => bytes.writeUInt32LE(2 ** 32 - 1, 0x248)), /cut off/],
    ["an empty payload", patched((bytes) => bytes.writeUInt32LE(0, 0x24c)), /cut off/],
    ["an unknown packing", bzImage(Buffer.from("LZMA and the like")), /packed in a way/],
    [
      "a damaged payload",
      patched((bytes) => bytes.fill(0xff, SETUP_BYTES + 20, SETUP_BYTES + 40)),
      /damaged/,
    ],
    ["something else packed", bzImage(gzipSync(Buffer.from("hello"))), /not an ELF file/],
    ["a kernel without PVH", bzImage(gzipSync(makeElf())), /CONFIG_PVH/],
  ];
  test.each(wrong)("refuses %s", async (_, bytes, reason) => {
    await expect(extractVmlinux(bytes, { name })).rejects.toMatchObject({
      code: "KERNEL_INVALID",
      message: expect.stringMatching(reason),
    });
  });
});
