import { Metadata } from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import { type FileList, fileListKey, readFileList, setFileList } from "./fileList.ts";

const FEW = { elf: "a".repeat(64), segment: "b".repeat(64) };
const MANY = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`f${index}`, "c".repeat(64)]));

/** The data of a stage that has just this. */
async function sent(files: FileList) {
  const metadata = new Metadata();
  const kept: Uint8Array[] = [];
  const put = async (bytes: unknown) => ({
    hash: `of ${kept.push(bytes as Uint8Array)}`,
    bytes: 0,
  });
  await setFileList(metadata, files, { put });
  const back = await readFileList(metadata, async (hash) => kept[Number(hash.slice(3)) - 1]!);
  return { metadata, kept: kept.length, back };
}

describe("the list of a call's files", () => {
  it.each([
    ["in a header", FEW, 0],
    ["as data, where it is long", MANY, 1],
  ])("arrives %s", async (_, files, count) => {
    const { back, kept } = await sent(files);
    expect(back).toEqual(files);
    expect(kept).toBe(count);
  });

  it("is empty where none came", async () => {
    expect(await readFileList(new Metadata(), () => Promise.reject(new Error("not asked")))).toEqual({});
  });

  it("has one key in whichever order, another for other files", async () => {
    const key = async (files: FileList) => fileListKey((await sent(files)).metadata);
    const { elf, segment } = FEW;
    expect(await key({ segment, elf })).toBe(await key({ elf, segment }));
    expect(await key({ elf, segment: elf })).not.toBe(await key({ elf, segment }));
  });
});
