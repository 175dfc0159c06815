import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createFatPartition } from "./fatPartition.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "gevulot-fat-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const read = (image: string, ...args: string[]) =>
  execFileSync(args[0] ?? "", ["-i", image, ...args.slice(1)], { maxBuffer: 2 ** 28 });

describe("createFatPartition", () => {
  test("mtools reads the files, and they stand where it says", async () => {
    const files = [
      { name: "vmlinuz", data: randomBytes(3_000_001) },
      { name: "initrd", data: randomBytes(20_000_000) },
      { name: "empty", data: Buffer.alloc(0) },
      { name: "syslinux.cfg", data: Buffer.from("DEFAULT x") },
    ];
    const { bytes, offsets } = createFatPartition(files, 2048);
    const image = join(folder, "fat.img");
    await writeFile(image, bytes);
    for (const { name, data } of files) {
      const at = offsets.get(name) ?? 0;
      expect(bytes.subarray(at, at + data.length).equals(data)).toBe(true);
      expect(read(image, "mtype", `::${name}`).equals(data)).toBe(true);
    }
    expect(read(image, "mdir", "-b", "::").toString().trim().split("\n")).toEqual([
      "::/vmlinuz",
      "::/initrd",
      "::/empty",
      "::/syslinux.cfg",
    ]);
  });

  test("a file can be added to it: there is room for a boot loader", async () => {
    const image = join(folder, "more.img");
    await writeFile(
      image,
      createFatPartition([{ name: "vmlinuz", data: randomBytes(30_000_000) }], 2048).bytes,
    );
    const more = join(folder, "more");
    await writeFile(more, randomBytes(250_000));
    read(image, "mcopy", more, "::ldlinux.sys");
    expect(read(image, "mtype", "::ldlinux.sys").length).toBe(250_000);
  });

  test("refuses what does not fit", () => {
    const data = new Uint8Array(270_000_000);
    expect(() => createFatPartition([{ name: "vmlinuz", data }], 2048)).toThrow(
      expect.objectContaining({ code: "BOOT_PARTITION_TOO_LARGE" }),
    );
  });
});
