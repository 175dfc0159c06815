import type { Mounts } from "./manifestMounts.ts";
import { unusable } from "./readProgram.ts";
import { resolveInRoot } from "./rootedPath.ts";

/** File systems of the machine's own, which are mounted over what an image has there. */
const SYSTEM = ["/proc", "/sys", "/dev", "/tmp"];

/** Where a program, its libraries and its first folder are in the image. */
interface Places {
  readonly path: string;
  readonly cwd?: string | undefined;
  readonly libraries: readonly string[];
}

/**
 * Refuses what a machine would not find when it starts a program, since something is mounted over it.
 *
 * @param root the image's own, as far as it is there: links in it are followed.
 * @throws GevulotError `PROGRAM_UNUSABLE`
 */
export async function refuseHidden(places: Places, mounts: Mounts, root: string): Promise<void> {
  const { path, cwd, libraries } = places;
  const shared = [mounts.workspace, ...mounts.volumes.map((volume) => volume.path)];
  const real = async (place: string) => (await resolveInRoot(root, place))?.path ?? place;
  const below = (place: string, points: readonly string[]) =>
    points.find((point) => place.startsWith(`${point}/`));
  for (const place of [path, ...libraries]) {
    const point = below(await real(place), [...SYSTEM, ...shared]);
    if (point !== undefined) throw hidden(place, point, path);
  }
  if (cwd === undefined) return;
  const place = await real(cwd);
  const point = below(place, SYSTEM);
  // A volume may have it.
  const isShared = shared.includes(place) || below(place, shared) !== undefined;
  if (point !== undefined && !isShared) throw hidden(`its working folder ${cwd}`, point, path);
}

function hidden(what: string, point: string, path: string) {
  return unusable(
    path,
    `in the image, ${what} is below ${point}, where the machine mounts something else; give it another place`,
  );
}
