import { parseVolume, volumesOfUrl } from "gevulot-sdk/protocol";
import { MAX_VOLUMES, tooManyVolumes, type VolumeMount, volumesProblem } from "./manifestMounts.ts";

/** What a Deploy names for a program, besides what its image mounts. */
export interface DeployedVolumes {
  readonly volumes: readonly VolumeMount[];
  /** Why they can't be mounted, and there are none therefore. */
  readonly problem: string | null;
}

/** Of a URL's fragment, from `#` on: all volumes that may be, at ordinary paths. */
const MAX_FRAGMENT_CHARS = 4_096;

/** @param workspace of the image, where that is at hand */
export function deployedVolumes(imageFileUrl: string, workspace: string | null = null): DeployedVolumes {
  // First: a stranger's URL may be long.
  const start = imageFileUrl.indexOf("#");
  const chars = start < 0 ? 0 : imageFileUrl.length - start;
  if (chars > MAX_FRAGMENT_CHARS) {
    return none(`the URL's fragment has ${chars} characters, and ${MAX_FRAGMENT_CHARS} are allowed`);
  }
  const texts = volumesOfUrl(imageFileUrl);
  if (texts.length > MAX_VOLUMES) return none(tooManyVolumes(texts.length));
  const volumes: VolumeMount[] = [];
  for (const text of texts) {
    const volume = parseVolume(text);
    if (volume === null) return none(`"${text}" is no volume with its path; write it as params:/params:ro`);
    const { name: label, path, readonly: isReadonly } = volume;
    if (volumes.some((one) => one.label === label)) return none(`"${label}" is named twice`);
    volumes.push({ label, path, readonly: isReadonly });
  }
  const problem = volumesProblem(volumes, workspace);
  return problem === null ? { volumes, problem } : none(problem);
}

function none(problem: string): DeployedVolumes {
  return { volumes: [], problem };
}

/** A task's volumes come besides those of its image, or instead of one at the same path. */
export function mountsOfTask(
  image: readonly VolumeMount[],
  task: readonly VolumeMount[] = [],
): readonly VolumeMount[] {
  return [...image.filter(({ path }) => task.every((one) => one.path !== path)), ...task];
}

/** Nanos mounts what its image names, and nothing else. Null where a task asks for no more. */
export function nanosVolumesProblem(
  image: readonly VolumeMount[],
  task: readonly VolumeMount[] = [],
): string | null {
  const own = image.map(describeMount);
  const more = task.map(describeMount).filter((one) => !own.includes(one));
  if (more.length === 0) return null;
  return (
    `a Nanos guest mounts only the volumes that its image names (${own.join(", ") || "none"}), and not ` +
    `${more.join(", ")}; name them in the manifest's Mounts`
  );
}

function describeMount({ label, path, readonly: isReadonly }: VolumeMount): string {
  return `${label}:${path}${isReadonly ? ":ro" : ""}`;
}
