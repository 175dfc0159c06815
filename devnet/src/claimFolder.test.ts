import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { claimFolder } from "./claimFolder.ts";

const ROUNDS = 25;
const AT_ONCE = 4;

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "gevulot-claim-"));
});
afterAll(() => rm(dir, { recursive: true }));

const claim = (file: string): Promise<() => Promise<void>> =>
  claimFolder(file, (pid) => new Error(`process ${pid} has it`));

it("has one owner, whoever claims in the same moment over what a killed one left", async () => {
  for (let round = 0; round < ROUNDS; round += 1) {
    const file = join(dir, `lock${round}`);
    await writeFile(file, JSON.stringify({ pid: process.pid, startTime: "0" }));
    const ends = await Promise.allSettled(Array.from({ length: AT_ONCE }, () => claim(file)));
    const owners = ends.filter((end) => end.status === "fulfilled");
    expect(owners.length).toBe(1);
    for (const end of ends) {
      if (end.status === "rejected") expect(end.reason.message).toBe(`process ${process.pid} has it`);
    }
    await owners[0]!.value();
  }
  expect(await readdir(dir)).toEqual([]);
});

it("removes what a claimant that was killed left, and nothing else", async () => {
  const file = join(dir, "lock");
  const left = [`lock.${process.pid}.0.0123abcd`, "lock.json", "lock.1.txt", "lock2"];
  for (const name of left) await writeFile(join(dir, name), "");
  const release = await claim(file);
  expect((await readdir(dir)).sort()).toEqual(["lock", ...left.slice(1)].sort());
  await expect(claim(file)).rejects.toThrow(`process ${process.pid} has it`);
  await release();
  await (await claim(file))();
});
