import { expect, describe as group, test } from "vitest";
import { decodeDescriptor, encodeDescriptor, type ImageInfo } from "./descriptor.ts";

const sha256 = "ab".repeat(32);
const info: ImageInfo = {
  sizeBytes: 10_000,
  firstSector: { offset: 0, length: 512, sha256 },
  boot: { offset: 1000, length: 3000, sha256 },
  kernel: { offset: 1000, length: 2000, sha256 },
  initrd: { offset: 3000, length: 1000, sha256 },
  root: { offset: 5000, length: 5000, sha256 },
  program: {
    kind: "js",
    path: "/prover.mjs",
    args: ["a", "ü\n'"],
    env: { A: "1" },
    workspace: "/workspace",
    readonlyRootfs: true,
  },
  versions: { kernel: "6.1.0-1-amd64", node: "v20.19.0" },
};
const HEADER_BYTES = 56;

/** Encoded with a right checksum, whatever it says. */
const encoded = (changes: object) => encodeDescriptor({ ...info, ...changes } as ImageInfo);
const program = (changes: object) => encoded({ program: { ...info.program, ...changes } });
const patched = (change: (bytes: Buffer) => unknown) => {
  const bytes = encodeDescriptor(info);
  change(bytes);
  return bytes;
};

group("an image's description", () => {
  test("comes back as it was", () => {
    expect(decodeDescriptor(encodeDescriptor(info), "x", info.sizeBytes)).toEqual(info);
  });

  test("what stands after it doesn't matter", () => {
    const bytes = Buffer.concat([encodeDescriptor(info), Buffer.alloc(1000, 7)]);
    expect(decodeDescriptor(bytes, "x", info.sizeBytes)).toEqual(info);
  });

  test("one too large is refused when it is made", () => {
    expect(() => program({ args: Array(3).fill("x".repeat(100_000)) })).toThrow(/is the limit/);
  });

  const wrong: [name: string, bytes: Buffer, reason: RegExp][] = [
    ["nothing", Buffer.alloc(0), /not an image made by/],
    ["zeros", Buffer.alloc(4096), /not an image made by/],
    ["another magic", patched((bytes) => bytes.write("X", 0)), /not an image made by/],
    [
      "the next version",
      patched((bytes) => bytes.writeUInt32LE(2, 16)),
      /version 2 and this release knows 1/,
    ],
    ["a length beyond the end", patched((bytes) => bytes.writeUInt32LE(2 ** 32 - 1, 20)), /damaged/],
    ["a length too short", patched((bytes) => bytes.writeUInt32LE(10, 20)), /damaged/],
    [
      "one changed bit",
      patched((bytes) => bytes.writeUInt8((bytes[HEADER_BYTES + 20] ?? 0) ^ 1, HEADER_BYTES + 20)),
      /damaged/,
    ],
    ["a cut", encodeDescriptor(info).subarray(0, 100), /damaged/],
    ["an unknown field", encoded({ more: 1 }), /not understood/],
    ["a deadline of no time", encoded({ deadlineSeconds: 0 }), /not understood/],
    ["no kernel", encoded({ kernel: undefined }), /not understood/],
    ["a negative offset", encoded({ root: { ...info.root, offset: -1 } }), /not understood/],
    ["a fraction", encoded({ root: { ...info.root, length: 1.5 } }), /not understood/],
    [
      "a kernel too large for memory",
      encoded({ kernel: { ...info.kernel, length: 2 ** 40 } }),
      /not understood/,
    ],
    ["a program outside", program({ path: "/../bin/sh" }), /not understood/],
    ["a relative program", program({ path: "bin/sh" }), /not understood/],
    ["parts outside the file", encoded({ root: { ...info.root, length: 5001 } }), /outside the file/],
  ];
  test.each(wrong)("refuses %s", (_, bytes, reason) => {
    expect(() => decodeDescriptor(bytes, "disk.img", info.sizeBytes)).toThrow(
      expect.objectContaining({ code: "IMAGE_INVALID", message: expect.stringMatching(reason) }),
    );
  });

  test.each([
    [9_999, /cut off: 9999 of 10000 bytes/],
    [10_001, /too long/],
  ])("refuses a file of %i bytes", (bytes, reason) => {
    expect(() => decodeDescriptor(encodeDescriptor(info), "disk.img", bytes)).toThrow(reason);
  });
});
