import type { VolumeMount } from "../../image/manifestMounts.ts";
import { readImage } from "../../image/readImage.ts";
import type { QemuProviderDeps } from "../qemuProvider.ts";

const MAX_KNOWN = 1_000;

/** Reads which volumes images name. Asked for the same image again and again, as long as its tasks wait. */
export function createMountsReader(
  readNanosBoot: QemuProviderDeps["readNanosBoot"],
): (imagePath: string) => Promise<readonly VolumeMount[]> {
  const known = new Map<string, readonly VolumeMount[]>();
  return async (imagePath) => {
    const found = known.get(imagePath);
    if (found !== undefined) return found;
    try {
      const boot = (await readNanosBoot?.(imagePath)) ?? null;
      const mounts = boot?.info.program.volumes ?? (await readImage(imagePath)).program.volumes ?? [];
      if (known.size >= MAX_KNOWN) known.clear();
      known.set(imagePath, mounts);
      return mounts;
    } catch {
      // What is wrong with an image, its task is told.
      return [];
    }
  };
}
