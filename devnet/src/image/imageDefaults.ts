import { readNanosInfo } from "./nanos/nanosInfo.ts";
import { isNanos } from "./nanos/openNanos.ts";
import { RUN_ATTRIBUTES } from "./nanos/rootTuple.ts";
import { readImage } from "./readImage.ts";
import { type ImageResources, MAX_CPUS, MAX_DEADLINE_SECONDS, MAX_GPUS, MAX_MEM_MIB } from "./runConfig.ts";

/** What the manifest's RunConfig said, for where nobody says otherwise. */
export interface ImageDefaults {
  readonly resources: ImageResources;
  /** The longest time that one task may take; null where it says nothing. */
  readonly deadlineSeconds: number | null;
}

/** @throws GevulotError `IMAGE_INVALID` */
export async function readImageDefaults(imagePath: string): Promise<ImageDefaults> {
  if (!(await isNanos(imagePath))) {
    const { resources = {}, deadlineSeconds = null } = await readImage(imagePath);
    return { resources, deadlineSeconds };
  }
  const { flags } = await readNanosInfo(imagePath);
  const count = (name: keyof typeof RUN_ATTRIBUTES, min: number, max: number) => {
    const value = Number(flags[RUN_ATTRIBUTES[name]]);
    return Number.isInteger(value) && value >= min && value <= max ? value : undefined;
  };
  return {
    resources: {
      memMib: count("memMib", 1, MAX_MEM_MIB),
      cpus: count("cpus", 1, MAX_CPUS),
      gpus: count("gpus", 0, MAX_GPUS),
    },
    deadlineSeconds: count("deadlineSeconds", 1, MAX_DEADLINE_SECONDS) ?? null,
  };
}
