import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { DisposeStack } from "../disposeStack.ts";
import { isAlive } from "../processTable.ts";

/** What a VM's process may take of the machine. */
export interface CgroupLimits {
  readonly memoryBytes: number;
  readonly cpus: number;
}

/** Limits by the kernel's control groups, version 2. Disposed of when no VM runs any more. */
export interface Cgroups extends AsyncDisposable {
  /** A group for processes that were just started; to be disposed of after their end. */
  open(name: string, pids: readonly number[], limits: CgroupLimits): Promise<AsyncDisposable>;
}

/** Where the groups are mounted, and this process's among them. */
export interface CgroupPlace {
  readonly mount: string;
  readonly own: string;
}

const CONTROLLERS = ["memory", "cpu", "pids"];
const CPU_PERIOD_US = 100_000;
/** QEMU's own threads: processors, disks, 9p. */
const MAX_PROCESSES = 1_024;
const REMOVE_TRIES = 500;
const REMOVE_PAUSE_MS = 20;
const PREFIX = "gevulot-";
const NAME = /^gevulot-(?:node-)?(\d+)(?:-[0-9a-f]+)?$/;

/** Null where the system has no groups of version 2. */
export async function findCgroup(): Promise<CgroupPlace | null> {
  const [mounts, groups] = await Promise.all(
    ["mountinfo", "cgroup"].map((file) => readFile(`/proc/self/${file}`, "utf8").catch(() => "")),
  );
  const mount = mounts
    ?.split("\n")
    .find((line) => line.includes(" - cgroup2 "))
    ?.split(" ")[4];
  const own = /^0::(\/.*)$/m.exec(groups ?? "")?.[1];
  return mount === undefined || own === undefined ? null : { mount, own };
}

/**
 * A group for VMs, where the system lets us make one: below this process's own, which is what systemd's `Delegate=` and
 * containers hand over, if nobody else is in it; or beside it, as root.
 *
 * @returns the reason in words where it does not
 */
export async function createCgroups(place: CgroupPlace | null): Promise<Cgroups | string> {
  if (place === null) return "the system has no control groups of version 2";
  const own = join(place.mount, place.own);
  // The machine's root may have processes beside groups; a container's is a group like others.
  const ways =
    place.own === "/"
      ? [() => makeIn(own), () => makeBelow(own)]
      : [() => makeBelow(own), () => makeIn(dirname(own))];
  const reasons: string[] = [];
  for (const way of ways) {
    const made = await way();
    if (typeof made !== "string") return made;
    if (!reasons.includes(made)) reasons.push(made);
  }
  return reasons.join("; ");
}

/** A group that has groups with limits below it can have no processes itself. */
async function makeBelow(own: string): Promise<Cgroups | string> {
  // A process may have several nodes.
  const leaf = join(own, `${PREFIX}node-${process.pid}-${randomBytes(4).toString("hex")}`);
  const goBack = async (): Promise<void> => {
    await disable(own).catch(() => {});
    await writeFile(join(own, "cgroup.procs"), String(process.pid)).catch(() => {});
    await rmdir(leaf).catch(() => {});
  };
  try {
    await mkdir(leaf);
  } catch (error) {
    return cannotMake(own, error);
  }
  try {
    await writeFile(join(leaf, "cgroup.procs"), String(process.pid));
  } catch (error) {
    await goBack();
    return cannotMake(own, error);
  }
  const made = await makeIn(own);
  if (typeof made === "string") {
    await goBack();
    return made;
  }
  return {
    open: made.open,
    async [Symbol.asyncDispose]() {
      await made[Symbol.asyncDispose]();
      await goBack();
    },
  };
}

async function makeIn(parent: string): Promise<Cgroups | string> {
  const home = join(parent, `${PREFIX}${process.pid}`);
  try {
    const offered = (await readFile(join(parent, "cgroup.controllers"), "utf8")).trim().split(" ");
    const missing = CONTROLLERS.filter((name) => !offered.includes(name));
    if (missing.length > 0) return `the control groups of ${parent} lack ${missing.join(", ")}`;
    await removeAbandoned(parent);
    await enable(parent);
    await mkdir(home, { recursive: true });
    await enable(home);
  } catch (error) {
    await rmdir(home).catch(() => {});
    return cannotMake(parent, error);
  }
  return {
    open: (name, pids, limits) => openGroup(join(home, name.replace(/[^\w.-]/g, "_")), pids, limits),
    [Symbol.asyncDispose]: () => removeGroup(home),
  };
}

function cannotMake(parent: string, error: unknown): string {
  return `control groups can't be made in ${parent} (${(error as NodeJS.ErrnoException).code})`;
}

function enable(folder: string): Promise<void> {
  return writeFile(join(folder, "cgroup.subtree_control"), CONTROLLERS.map((name) => `+${name}`).join(" "));
}

function disable(folder: string): Promise<void> {
  return writeFile(join(folder, "cgroup.subtree_control"), CONTROLLERS.map((name) => `-${name}`).join(" "));
}

/**
 * A place in the stack for a process's group, to be taken once the process runs: below the process, so that it is
 * disposed of after it.
 */
export function laterGroup(
  stack: DisposeStack,
  cgroups: Cgroups | string,
): (name: string, pids: readonly number[], limits: CgroupLimits) => Promise<void> {
  let group: AsyncDisposable | null = null;
  stack.defer(() => group?.[Symbol.asyncDispose]() as Promise<void>);
  return async (name, pids, limits) => {
    if (typeof cgroups === "string") return;
    group = await cgroups.open(name, pids, limits);
  };
}

async function openGroup(
  folder: string,
  pids: readonly number[],
  { memoryBytes, cpus }: CgroupLimits,
): Promise<AsyncDisposable> {
  await mkdir(folder);
  try {
    const write = (file: string, value: string) => writeFile(join(folder, file), value);
    await write("memory.max", String(Math.ceil(memoryBytes)));
    // A guest's memory on the host's swap would only hide that there is too little.
    await write("memory.swap.max", "0").catch(() => {});
    await write("memory.oom.group", "1");
    await write("cpu.max", `${Math.ceil(cpus * CPU_PERIOD_US)} ${CPU_PERIOD_US}`);
    await write("pids.max", String(MAX_PROCESSES));
    for (const pid of pids) {
      await write("cgroup.procs", String(pid)).catch((error: NodeJS.ErrnoException) => {
        // One that has ended by then needs no limits.
        if (error.code !== "ESRCH") throw error;
      });
    }
  } catch (error) {
    await removeGroup(folder);
    throw error;
  }
  return { [Symbol.asyncDispose]: () => removeGroup(folder) };
}

/** The kernel holds a group for a moment longer than its processes. */
async function removeGroup(folder: string): Promise<void> {
  for (let tries = 1; tries <= REMOVE_TRIES; tries++) {
    const isGone = await rmdir(folder).then(
      () => true,
      (error: NodeJS.ErrnoException) => error.code === "ENOENT",
    );
    if (isGone) return;
    await delay(REMOVE_PAUSE_MS);
  }
}

/** Of nodes that were killed. */
async function removeAbandoned(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const pid = NAME.exec(name)?.[1];
    if (pid === undefined || isAlive(Number(pid))) continue;
    const home = join(parent, name);
    for (const entry of await readdir(home, { withFileTypes: true })) {
      if (entry.isDirectory()) await rmdir(join(home, entry.name)).catch(() => {});
    }
    await rmdir(home).catch(() => {});
  }
}
