import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { makeElf } from "../../../test/fixtures/makeElf.ts";
import { parseElf } from "./elf.ts";

describe("parseElf", () => {
  test("reads what the loader reads", () => {
    const bytes = makeElf({
      needed: ["liba.so.1", "libb.so"],
      rpath: "/x:/y",
      runpath: "$ORIGIN/lib",
      interpreter: "/lib64/ld.so",
      audit: "liba.so.1",
      pvhNote: true,
    });
    expect(parseElf(bytes, "x")).toEqual({
      kind: "shared",
      interpreter: "/lib64/ld.so",
      needed: ["liba.so.1", "libb.so"],
      rpath: ["/x", "/y"],
      runpath: ["$ORIGIN/lib"],
      hasAudit: true,
      hasPvhEntry: true,
    });
  });

  test("reads a real program", async () => {
    const elf = parseElf(await readFile(process.execPath), "node");
    expect(elf.interpreter).toMatch(/^\/lib.*ld-linux/);
    expect(elf.needed).toContain("libc.so.6");
    expect(elf.hasPvhEntry).toBe(false);
  });

  const patched = (change: (bytes: Buffer) => void) => {
    const bytes = makeElf({ needed: ["liba.so"] });
    change(bytes);
    return bytes;
  };
  const wrong: [name: string, bytes: Buffer, reason: RegExp][] = [
    ["nothing", Buffer.alloc(0), /no ELF/],
    ["a script", Buffer.from("#!/bin/sh\necho\n".padEnd(100)), /no ELF/],
    ["a header cut off", makeElf().subarray(0, 40), /cut off/],
    ["32 bits", patched((bytes) => bytes.writeUInt8(1, 4)), /not a 64-bit/],
    ["big endian", patched((bytes) => bytes.writeUInt8(2, 5)), /little-endian/],
    ["another processor", makeElf({ machine: 183 }), /another processor.*183.*x86-64/],
    ["an object file", patched((bytes) => bytes.writeUInt16LE(1, 16)), /type 1/],
    ["a core dump", patched((bytes) => bytes.writeUInt16LE(4, 16)), /type 4/],
    ["segments outside", patched((bytes) => bytes.writeBigUInt64LE(1n << 40n, 32)), /damaged/],
    ["segments at no number", patched((bytes) => bytes.writeBigUInt64LE(1n << 63n, 32)), /damaged/],
    ["too many segments", patched((bytes) => bytes.writeUInt16LE(0xffff, 56)), /damaged/],
    ["too small segments", patched((bytes) => bytes.writeUInt16LE(8, 54)), /damaged/],
    ["strings cut off", makeElf({ needed: ["liba.so"] }).subarray(0, 64 + 4 * 56 + 4), /damaged/],
  ];
  test.each(wrong)("refuses %s", (_, bytes, reason) => {
    expect(() => parseElf(bytes, "it")).toThrow(
      expect.objectContaining({ code: "ELF_INVALID", message: expect.stringMatching(reason) }),
    );
  });
});
