import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, expect, it } from "vitest";
import { createFetchCache } from "./fetchCache.ts";

const FILES = ["elf/ab", "fetched/ab/abcd", "proof/run/segment/0", "results/task"];

let baseDir: string;
beforeEach(async () => {
  baseDir = await mkdtemp(join(tmpdir(), "gevulot-cache-"));
  for (const file of FILES) {
    const path = join(baseDir, file);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, "used yesterday");
    await utimes(path, Date.now() / 1_000 - 86_400, Date.now() / 1_000 - 86_400);
  }
});
afterEach(() => rm(baseDir, { recursive: true, force: true }));

const left = async (): Promise<string[]> =>
  (await readdir(baseDir, { recursive: true })).filter((name) => FILES.includes(name)).sort();

it.each([
  ["what it fetched, and its answers", false, ["elf/ab", "proof/run/segment/0"]],
  ["what it mirrors of a bucket too", true, []],
])("a node's cache that is full removes %s", async (_, isMirror, expected) => {
  const options = { baseDir, isMirror, maxGib: Number.MIN_VALUE };
  await createFetchCache({ log: pino({ level: "silent" }) }, options)[Symbol.asyncDispose]();
  expect(await left()).toEqual(expected);
});
