/** What a machine has, or a task asks for. */
export interface ResourceAmount {
  readonly memMib: number;
  readonly cpus: number;
  readonly gpus: number;
}

/** The machine's resources as tasks see them. CPUs may be counted more than once, memory never. */
export interface Capacity extends ResourceAmount {
  /** How often a CPU is given away; 2 suits a developer's machine. */
  readonly cpuFactor: number;
}

/** Why a task can never run on this machine, or null where it can once the others are done. */
export function neverFits(capacity: Capacity, wanted: ResourceAmount): string | null {
  if (wanted.memMib > capacity.memMib)
    return `it asks for ${wanted.memMib} MiB of memory, this node has ${capacity.memMib}`;
  // A VM with more processors than the machine has runs, slowly; more than the overcommitted number does not.
  const cpus = capacity.cpus * capacity.cpuFactor;
  if (wanted.cpus > cpus) {
    return `it asks for ${wanted.cpus} CPUs, this node gives ${cpus} (${capacity.cpus}, counted ${capacity.cpuFactor} times)`;
  }
  if (wanted.gpus > capacity.gpus) return `it asks for ${wanted.gpus} GPUs, this node has ${capacity.gpus}`;
  if (wanted.memMib < 1 || wanted.cpus < 1 || wanted.gpus < 0) return "it asks for no memory or no CPU";
  return null;
}

/** What a task waits for while others run, or null where it fits now. */
export function fitsNow(capacity: Capacity, used: ResourceAmount, wanted: ResourceAmount): string | null {
  const [name] = lackingNames(capacity, used, wanted);
  if (name === undefined) return null;
  const unit = { memMib: "MiB of memory", cpus: "CPUs", gpus: "GPUs" }[name];
  return `waits for ${wanted[name]} ${unit}, ${freeOf(capacity, used)[name]} free`;
}

function lackingNames(
  capacity: Capacity,
  used: ResourceAmount,
  wanted: ResourceAmount,
): (keyof ResourceAmount)[] {
  const free = freeOf(capacity, used);
  return RESOURCES.filter((name) => wanted[name] > free[name]);
}

function freeOf(capacity: Capacity, used: ResourceAmount): ResourceAmount {
  return {
    memMib: capacity.memMib - used.memMib,
    cpus: capacity.cpus * capacity.cpuFactor - used.cpus,
    gpus: capacity.gpus - used.gpus,
  };
}

export function addResources(a: ResourceAmount, b: ResourceAmount): ResourceAmount {
  return { memMib: a.memMib + b.memMib, cpus: a.cpus + b.cpus, gpus: a.gpus + b.gpus };
}

export const NO_RESOURCES: ResourceAmount = { memMib: 0, cpus: 0, gpus: 0 };

const RESOURCES = ["memMib", "cpus", "gpus"] as const;

export interface Waiting {
  readonly id: string;
  readonly wanted: ResourceAmount;
  readonly waitedMs: number;
}

/** After this long at the head of the queue, a large task is no longer overtaken by small ones. */
export const MAX_OVERTAKEN_MS = 30_000;

export interface Admission {
  readonly start: readonly string[];
  readonly wait: ReadonlyMap<string, string>;
}

/**
 * Which of the waiting tasks, oldest first, start now. Small tasks may overtake a large one that doesn't fit yet,
 * but not for ever: after a while nobody takes what it lacks, whoever needs nothing of that still starts.
 */
export function admit(capacity: Capacity, used: ResourceAmount, waiting: readonly Waiting[]): Admission {
  const start: string[] = [];
  const wait = new Map<string, string>();
  let taken = used;
  /** Who must not be overtaken any more, by the resource that it lacks. */
  const held = new Map<keyof ResourceAmount, string>();
  for (const { id, wanted, waitedMs } of waiting) {
    const lacks = fitsNow(capacity, taken, wanted);
    const before = RESOURCES.find((name) => held.has(name) && wanted[name] > 0);
    if (before !== undefined) {
      wait.set(id, `waits for task ${held.get(before)}, which is larger and came first`);
    } else if (lacks === null) {
      start.push(id);
      taken = addResources(taken, wanted);
    } else {
      wait.set(id, lacks);
      if (waitedMs <= MAX_OVERTAKEN_MS) continue;
      for (const name of lackingNames(capacity, taken, wanted)) held.set(name, id);
    }
  }
  return { start, wait };
}
