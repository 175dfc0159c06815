import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { claimFolder } from "../../claimFolder.ts";
import { startOf } from "../../processTable.ts";
import { volumeInUse, volumeInvalid } from "./volumeErrors.ts";

/** Who uses a volume now. */
export interface VolumeHolder {
  readonly pid: number;
  /** For people: the task, or the command. */
  readonly what: string;
  readonly access: VolumeAccess;
}

/** Many may read at once; `write` is for one alone, and `remove` too. */
export type VolumeAccess = "read" | "write" | "remove";

const holderSchema = z.object({
  pid: z.int().min(1),
  startTime: z.string(),
  what: z.string(),
  access: z.enum(["read", "write", "remove"]),
});

const UNWRITABLE: ReadonlySet<string> = new Set(["EROFS", "EACCES", "EPERM"]);
const LOCK_TRIES = 500;
const LOCK_PAUSE_MS = 20;

/**
 * Takes a volume for this process, by a file in `folder`. What a killed process left does not count.
 *
 * @param folder of this volume alone
 * @returns gives it back
 * @throws GevulotError `VOLUME_IN_USE`, which says by whom; `VOLUME_INVALID` where the folder can't be written to
 */
export async function holdVolume(
  folder: string,
  hold: { readonly name: string; readonly what: string; readonly access: VolumeAccess },
): Promise<() => Promise<void>> {
  try {
    return await takeHold(folder, hold);
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (!UNWRITABLE.has(code)) throw error;
    // Nobody writes there, or QEMU's own lock on the file keeps readers and a writer apart.
    if (hold.access === "read") return async () => {};
    throw volumeInvalid(
      `The folder of the volume ${hold.name} can't be written to (${code}), so it is only to be read. Mount it with :ro, or have it in a folder of yours.`,
    );
  }
}

async function takeHold(
  folder: string,
  { name, what, access }: Parameters<typeof holdVolume>[1],
): Promise<() => Promise<void>> {
  await mkdir(folder, { recursive: true });
  const release = await lock(join(folder, "lock"), name);
  try {
    const others = await readHolders(folder);
    const isFree = access === "read" ? others.every((one) => one.access === "read") : others.length === 0;
    if (!isFree) throw volumeInUse(name, others.map(describeHolder));
    const file = join(folder, `${process.pid}-${randomBytes(4).toString("hex")}.json`);
    const startTime = startOf(process.pid) ?? "";
    await writeFile(file, JSON.stringify({ pid: process.pid, startTime, what, access }));
    return () => rm(file, { force: true });
  } finally {
    await release();
  }
}

/** Those that still run; the files of others are taken away. */
export async function readHolders(folder: string): Promise<VolumeHolder[]> {
  const names = await readdir(folder).catch(() => []);
  const holders: VolumeHolder[] = [];
  for (const name of names.filter((one) => one.endsWith(".json"))) {
    const file = join(folder, name);
    const holder = await readHolder(file);
    if (holder === null) continue;
    if (startOf(holder.pid) === holder.startTime) holders.push(holder);
    // It may be in a folder that is only to be read.
    else await rm(file, { force: true }).catch(() => {});
  }
  return holders;
}

export function describeHolder({ what, pid, access }: VolumeHolder): string {
  const does = { read: "reads it", write: "writes to it", remove: "deletes it" }[access];
  return `${what} (process ${pid}) ${does}`;
}

async function readHolder(file: string): Promise<z.infer<typeof holderSchema> | null> {
  try {
    return holderSchema.parse(JSON.parse(await readFile(file, "utf8")));
  } catch {
    return null;
  }
}

/** Held for a moment only, so that two can't look at the same time. */
async function lock(file: string, name: string): Promise<() => Promise<void>> {
  for (let tries = 1; ; tries++) {
    try {
      return await claimFolder(file, (pid) => volumeInUse(name, [`process ${pid} looks at it`]));
    } catch (error) {
      if (tries >= LOCK_TRIES) throw error;
      await delay(LOCK_PAUSE_MS);
    }
  }
}
