import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { createSegmentSender } from "./segmentSender.ts";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "gevulot-segments-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

/** Of a node that shares the stage's base folder. */
function senderOf(from: string, left: string[]) {
  const leave = async (name: string) => void left.push(name);
  const { signal } = new AbortController();
  return createSegmentSender({ from, taskId: "task", leave, data: null, signal });
}

it("hands over segments, links to files too", async () => {
  const from = join(dir, "whole");
  await mkdir(from);
  await writeFile(join(from, "0"), "a segment");
  await symlink(join(from, "0"), join(from, "1"));
  const left: string[] = [];
  expect(await senderOf(from, left).finish()).toBe(2);
  expect(left).toEqual(expect.arrayContaining(["0", "1", "segments.txt"]));
});

describe("what the stage did not take", () => {
  afterEach(() => vi.useRealTimers());

  /** Each try fails that way, and takes longer than a stage that is there may refuse something. */
  const sendSlowly = async (code: number, tries: number): Promise<number> => {
    vi.useFakeTimers({ toFake: ["Date"] });
    const from = await mkdtemp(join(dir, "slow-"));
    let tried = 0;
    const sendFile = async () => {
      vi.setSystemTime(Date.now() + 130_000);
      tried += 1;
      if (tried < tries) throw Object.assign(new Error("not taken"), { code });
    };
    const data = { sendFile, fetch: async () => "", close() {} };
    const { signal } = new AbortController();
    const sender = createSegmentSender({ from, taskId: "task", leave: null, data, signal });
    await sender.finish();
    await sender.sendFile("a", "a");
    return tried;
  };

  it("is sent again for as long as it, or its database, is away", async () => {
    expect(await sendSlowly(status.UNAVAILABLE, 3)).toBe(3);
  });

  it("is given up after a while where it refuses", async () => {
    await expect(sendSlowly(status.INVALID_ARGUMENT, 3)).rejects.toThrow("not taken");
  });
});

it("refuses a folder in place of a segment at once", async () => {
  const from = join(dir, "folder");
  await mkdir(join(from, "1"), { recursive: true });
  await writeFile(join(from, "0"), "a segment");
  const problem = "out/segments/1 is no file: write each segment as one file";
  await expect(senderOf(from, []).finish()).rejects.toThrow(problem);
});
