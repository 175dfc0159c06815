import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startOf } from "../processTable.ts";
import { createMachineShare } from "./machineShare.ts";

const capacity = { memMib: 1_000, cpus: 2, gpus: 0, cpuFactor: 2 };
const wanted = { memMib: 400, cpus: 1, gpus: 0 };
let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "machine-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

describe("the share of a machine", () => {
  test("is counted once for all who have the folder, and given back", async () => {
    const [a, b] = [await createMachineShare(dir, capacity), await createMachineShare(dir, capacity)];
    const first = await a.take(wanted);
    const second = await b.take(wanted);
    if (typeof first === "string" || typeof second === "string") throw new Error("refused");
    expect(await a.take(wanted)).toBe(
      "waits for 400 MiB of memory, 200 free on this machine, which other nodes use, too",
    );
    await second.release();
    expect(await a.take(wanted)).toHaveProperty("release");
    await first.release();
  });

  test("many at once never get more than there is", async () => {
    const shares = await Promise.all(Array.from({ length: 4 }, () => createMachineShare(dir, capacity)));
    const taken = await Promise.all([...shares, ...shares].map((share) => share.take(wanted)));
    expect(taken.filter((each) => typeof each !== "string")).toHaveLength(2);
  });

  test("what a process held that was killed is free", async () => {
    const child = spawn("sleep", ["60"]);
    await once(child, "spawn");
    await writeFile(
      join(dir, `${child.pid}-${startOf(child.pid as number)}-0.held`),
      JSON.stringify({ memMib: 900, cpus: 1, gpus: 0 }),
    );
    const share = await createMachineShare(dir, capacity);
    expect(await share.take(wanted)).toContain("100 free");
    child.kill("SIGKILL");
    await once(child, "exit");
    expect(await share.take(wanted)).toHaveProperty("release");
    expect((await readdir(dir)).filter((name) => name.startsWith(`${child.pid}-`))).toEqual([]);
  });
});
