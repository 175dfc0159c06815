import { VOLUME_LABEL, type VolumeMount } from "../manifestMounts.ts";
import { nodeMountProblem, readNanosInfo } from "./nanosInfo.ts";
import { isNanosVsockOnly } from "./nanosVsockOnly.ts";
import { isNanos } from "./openNanos.ts";

/** What a runner has to know of a Nanos image. */
export interface NanosBoot {
  readonly kind: "nanos";
  readonly info: { readonly program: { readonly volumes: readonly VolumeMount[] } };
  /** Why its program will find no task; null where it will. */
  readonly problem: string | null;
  /** Its environment says so. */
  readonly needsVsock: boolean;
  /** Whether its program can do without VSOCK; reads the program. */
  isVsockOnly(signal?: AbortSignal): Promise<boolean>;
}

const NUMBERED = /^%\d+$/;

/**
 * Null for what is no Nanos disk.
 *
 * @throws GevulotError `IMAGE_INVALID`
 */
export async function readNanosBoot(path: string): Promise<NanosBoot | null> {
  if (!(await isNanos(path))) return null;
  const info = await readNanosInfo(path);
  const volumes = Object.entries(info.mounts)
    .filter(([id]) => !NUMBERED.test(id) && VOLUME_LABEL.test(id))
    .map(([label, place]) => ({
      label,
      path: place.replace(/:ro$/, ""),
      readonly: place.endsWith(":ro"),
    }));
  return {
    kind: "nanos",
    info: { program: { volumes } },
    problem: nodeMountProblem(info),
    needsVsock: info.env.GEVULOT_TRANSPORT === "vsock",
    isVsockOnly: (signal) => isNanosVsockOnly(path, signal),
  };
}
