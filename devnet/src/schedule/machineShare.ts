import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { claimFolder } from "../claimFolder.ts";
import { startOf } from "../processTable.ts";
import { addResources, type Capacity, fitsNow, NO_RESOURCES, type ResourceAmount } from "./resources.ts";

/** What the nodes of one machine hold of it together. */
export interface MachineShare {
  /**
   * Takes this much for a task of this process.
   * @returns the end of it, or why there is not enough now
   */
  take(wanted: ResourceAmount): Promise<{ readonly release: () => Promise<void> } | string>;
}

const LOCK_WAIT_MS = 5;
const LOCK_TRIES = 2_000;
const SUFFIX = ".held";

/**
 * Counts memory and CPUs once for all nodes that are given the same folder and capacity. Each task is a file there, named
 * for the process that runs it: what a killed node held is free with its end.
 */
export async function createMachineShare(folder: string, capacity: Capacity): Promise<MachineShare> {
  await mkdir(folder, { recursive: true });
  const owner = `${process.pid}-${startOf(process.pid) ?? ""}`;
  return {
    async take(wanted) {
      const unlock = await lock(folder);
      try {
        const lacks = fitsNow(capacity, await heldIn(folder), wanted);
        if (lacks !== null) return `${lacks} on this machine, which other nodes use, too`;
        const file = join(folder, `${owner}-${randomBytes(6).toString("hex")}`);
        const { memMib, cpus, gpus } = wanted;
        await writeFile(`${file}.new`, JSON.stringify({ memMib, cpus, gpus }));
        await rename(`${file}.new`, `${file}${SUFFIX}`);
        return { release: () => rm(`${file}${SUFFIX}`, { force: true }) };
      } finally {
        await unlock();
      }
    },
  };
}

async function lock(folder: string): Promise<() => Promise<void>> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await claimFolder(
        join(folder, "lock"),
        (pid) => new Error(`process ${pid} counts for more than ${(LOCK_TRIES * LOCK_WAIT_MS) / 1_000} s`),
      );
    } catch (error) {
      if (attempt === LOCK_TRIES) throw error;
      await delay(LOCK_WAIT_MS);
    }
  }
}

async function heldIn(folder: string): Promise<ResourceAmount> {
  let held = NO_RESOURCES;
  for (const name of await readdir(folder)) {
    const match = /^(\d+)-(\d*)-[0-9a-f]+\.(held|new)$/.exec(name);
    if (!match) continue;
    const path = join(folder, name);
    if (startOf(Number(match[1])) !== match[2]) await rm(path, { force: true });
    else if (name.endsWith(SUFFIX)) held = addResources(held, await readHeld(path));
  }
  return held;
}

/** A task that ends meanwhile takes its file away. */
async function readHeld(path: string): Promise<ResourceAmount> {
  const text = await readFile(path, "utf8").catch(() => null);
  return text === null ? NO_RESOURCES : (JSON.parse(text) as ResourceAmount);
}
