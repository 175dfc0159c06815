import { readNanosInfo } from "./nanos/nanosInfo.ts";
import { isNanos } from "./nanos/openNanos.ts";
import { DEADLINE_ATTRIBUTE } from "./nanos/rootTuple.ts";
import { readImage } from "./readImage.ts";
import { MAX_DEADLINE_SECONDS } from "./runConfig.ts";

/**
 * The longest time that one task of an image's program may take, as its manifest's RunConfig says (DeadlineSeconds); null
 * where it says nothing.
 *
 * @throws GevulotError `IMAGE_INVALID`
 */
export async function readDeadline(imagePath: string): Promise<number | null> {
  if (!(await isNanos(imagePath))) return (await readImage(imagePath)).deadlineSeconds ?? null;
  const seconds = Number((await readNanosInfo(imagePath)).flags[DEADLINE_ATTRIBUTE]);
  return Number.isInteger(seconds) && seconds >= 1 && seconds <= MAX_DEADLINE_SECONDS ? seconds : null;
}
