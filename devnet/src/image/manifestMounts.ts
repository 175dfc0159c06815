/** A volume of the node that runs the program, by its label. */
export interface VolumeMount {
  readonly label: string;
  /** Where it appears in the image. */
  readonly path: string;
  readonly readonly: boolean;
}

export interface Mounts {
  /** Where the task's files appear. */
  readonly workspace: string;
  readonly volumes: readonly VolumeMount[];
}

export const DEFAULT_WORKSPACE = "/workspace";
export const VOLUME_LABEL = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

/** The guest's disks are /dev/vda, the root, to /dev/vdz. */
export const MAX_VOLUMES = 16;
const SHARE = /^%\d+$/;
const SYSTEM = /^\/(proc|sys|dev|tmp|lib|lib64|usr|\.gevulot)(\/|$)/;
/** Programs keep large parameters under /tmp: a volume may be there. */
const SYSTEM_BESIDE_TMP = /^\/(proc|sys|dev|lib|lib64|usr|\.gevulot)(\/|$)/;

/**
 * Reads a manifest's Mounts: `%N` is the task's workspace, anything else names a volume; a path may end in `:ro`.
 *
 * @param refuse makes the error of a reason.
 */
export function readMounts(
  mounts: Readonly<Record<string, string>>,
  refuse: (reason: string) => Error,
): Mounts {
  const shares = Object.entries(mounts).filter(([id]) => SHARE.test(id));
  if (shares.length > 1) throw refuse("two of them are the task's workspace, and a node has one: keep %1");
  const workspace = plain(shares[0]?.[1] ?? DEFAULT_WORKSPACE);
  if (workspace.endsWith(":ro")) throw refuse("a workspace can't be read-only: the result is written there");
  const volumes = Object.entries(mounts)
    .filter(([id]) => !SHARE.test(id))
    .map(([label, place]) => readVolume(label, place, refuse));
  const problem = placeProblem(workspace, SYSTEM) ?? volumesProblem(volumes, workspace);
  if (problem !== null) throw refuse(problem);
  return { workspace, volumes };
}

function readVolume(label: string, place: string, refuse: (reason: string) => Error): VolumeMount {
  if (!VOLUME_LABEL.test(label)) {
    throw refuse(`"${label}" is neither the workspace, "%1", nor a volume's name (letters, digits, . _ -)`);
  }
  const isReadonly = place.endsWith(":ro");
  return { label, path: plain(isReadonly ? place.slice(0, -":ro".length) : place), readonly: isReadonly };
}

/**
 * Why volumes can't be mounted; null where they can.
 *
 * @param workspace null where it is not known yet
 */
export function volumesProblem(volumes: readonly VolumeMount[], workspace: string | null): string | null {
  if (volumes.length > MAX_VOLUMES) return tooManyVolumes(volumes.length);
  const taken = workspace === null ? [] : [workspace];
  for (const { path, label } of volumes) {
    const problem = placeProblem(path, SYSTEM_BESIDE_TMP);
    if (problem !== null) return problem;
    const other = taken.find((one) => `${path}/`.startsWith(`${one}/`) || `${one}/`.startsWith(`${path}/`));
    if (other !== undefined) return `"${label}" at ${path} and the mount at ${other} hide each other`;
    taken.push(path);
  }
  return null;
}

export function tooManyVolumes(count: number): string {
  return `it has ${count} volumes, and ${MAX_VOLUMES} are allowed`;
}

/** A slash at the end of a folder's path says nothing more. */
function plain(path: string): string {
  return path.replace(/(?<=[^/])\/+$/, "");
}

function placeProblem(path: string, system: RegExp): string | null {
  const isPlain = /^(\/[A-Za-z0-9._@+-]+)+$/.test(path) && !/\/\.\.?(\/|$)/.test(path);
  if (!isPlain) return `"${path}" is no plain absolute path such as ${DEFAULT_WORKSPACE}`;
  return system.test(path) ? `"${path}" is used by the system; take ${DEFAULT_WORKSPACE}` : null;
}
