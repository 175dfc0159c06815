/** What a program asks for where nobody says otherwise: the manifest's RunConfig. */
export interface ImageResources {
  readonly memMib?: number | undefined;
  readonly cpus?: number | undefined;
  readonly gpus?: number | undefined;
}

export interface RunConfig {
  readonly resources: ImageResources;
  readonly imageName?: string;
  /** Longest time of one task. */
  readonly deadlineSeconds?: number;
  /** Keys that are there and mean nothing here. */
  readonly ignored: readonly string[];
}

export const MAX_CPUS = 1024;
export const MAX_MEM_MIB = 64 * 1024 * 1024;
export const MAX_GPUS = 64;
/** Longer than timers can count is no limit. */
export const MAX_DEADLINE_SECONDS = 2_000_000;

const MIB_OF_UNIT: Readonly<Record<string, number>> = { k: 1 / 1024, m: 1, "": 1, g: 1024, t: 1024 * 1024 };

/** @param refuse makes the error of a key and a reason. */
export function readRunConfig(
  config: Readonly<Record<string, unknown>>,
  refuse: (key: string, reason: string) => Error,
): RunConfig {
  const resources: { memMib?: number; cpus?: number; gpus?: number } = {};
  const ignored: string[] = [];
  let imageName: string | undefined;
  let deadlineSeconds: number | undefined;
  for (const [key, value] of Object.entries(config)) {
    const lower = key.toLowerCase();
    if (value === null) continue;
    if (lower === "memory") resources.memMib = readMemory(value, (reason) => refuse(key, reason));
    else if (lower === "cpus") resources.cpus = count(1, MAX_CPUS)(value, (why) => refuse(key, why));
    else if (lower === "gpus") resources.gpus = count(0, MAX_GPUS)(value, (why) => refuse(key, why));
    else if (lower === "imagename") imageName = readName(value, (reason) => refuse(key, reason));
    else if (lower === "deadlineseconds")
      deadlineSeconds = count(1, MAX_DEADLINE_SECONDS)(value, (why) => refuse(key, why));
    else ignored.push(key);
  }
  return {
    resources,
    ignored,
    ...(imageName === undefined ? {} : { imageName }),
    ...(deadlineSeconds === undefined ? {} : { deadlineSeconds }),
  };
}

/** `2048 MiB, 1 CPU`; empty where nothing is asked for. */
export function resourcesText({ memMib, cpus, gpus }: ImageResources): string {
  return [
    ...(memMib === undefined ? [] : [`${memMib} MiB`]),
    ...(cpus === undefined ? [] : [`${cpus} CPU${cpus === 1 ? "" : "s"}`]),
    ...(gpus === undefined ? [] : [`${gpus} GPU${gpus === 1 ? "" : "s"}`]),
  ].join(", ");
}

/** As QEMU's `-m`: `2G`, `512m`, and a number alone is MiB. */
function readMemory(value: unknown, refuse: (reason: string) => Error): number {
  const [, number, unit = ""] = /^(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?$/i.exec(String(value).trim()) ?? [];
  const memMib = Math.ceil(Number(number) * (MIB_OF_UNIT[unit.toLowerCase()] ?? Number.NaN));
  const isUsable = typeof value !== "object" && memMib >= 1 && memMib <= MAX_MEM_MIB;
  if (!isUsable) throw refuse('write it as "512m" or "2G"');
  return memMib;
}

function count(min: number, max: number) {
  return (value: unknown, refuse: (reason: string) => Error): number => {
    const isUsable = Number.isInteger(value) && (value as number) >= min && (value as number) <= max;
    if (!isUsable) throw refuse(`it must be a whole number from ${min} to ${max}`);
    return value as number;
  };
}

function readName(value: unknown, refuse: (reason: string) => Error): string {
  if (typeof value !== "string") throw refuse("it must be a text");
  return value;
}
