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
  const memFree = capacity.memMib - used.memMib;
  if (wanted.memMib > memFree) return `waits for ${wanted.memMib} MiB of memory, ${memFree} free`;
  const cpusFree = capacity.cpus * capacity.cpuFactor - used.cpus;
  if (wanted.cpus > cpusFree) return `waits for ${wanted.cpus} CPUs, ${cpusFree} free`;
  const gpusFree = capacity.gpus - used.gpus;
  if (wanted.gpus > gpusFree) return `waits for ${wanted.gpus} GPUs, ${gpusFree} free`;
  return null;
}

export function addResources(a: ResourceAmount, b: ResourceAmount): ResourceAmount {
  return { memMib: a.memMib + b.memMib, cpus: a.cpus + b.cpus, gpus: a.gpus + b.gpus };
}

export const NO_RESOURCES: ResourceAmount = { memMib: 0, cpus: 0, gpus: 0 };

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
 * but not for ever.
 */
export function admit(capacity: Capacity, used: ResourceAmount, waiting: readonly Waiting[]): Admission {
  const start: string[] = [];
  const wait = new Map<string, string>();
  let taken = used;
  let held: string | null = null;
  for (const task of waiting) {
    const lacks = fitsNow(capacity, taken, task.wanted);
    if (held !== null) {
      wait.set(task.id, `waits for task ${held}, which is larger and came first`);
    } else if (lacks === null) {
      start.push(task.id);
      taken = addResources(taken, task.wanted);
    } else {
      wait.set(task.id, lacks);
      if (task.waitedMs > MAX_OVERTAKEN_MS) held = task.id;
    }
  }
  return { start, wait };
}
