import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
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

it("refuses a folder in place of a segment at once", async () => {
  const from = join(dir, "folder");
  await mkdir(join(from, "1"), { recursive: true });
  await writeFile(join(from, "0"), "a segment");
  const problem = "out/segments/1 is no file: write each segment as one file";
  await expect(senderOf(from, []).finish()).rejects.toThrow(problem);
});
