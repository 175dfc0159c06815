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

const MAX_VOLUMES = 16;
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
  checkPlace(workspace, SYSTEM, refuse);
  const volumes = Object.entries(mounts)
    .filter(([id]) => !SHARE.test(id))
    .map(([label, place]) => readVolume(label, place, refuse));
  if (volumes.length > MAX_VOLUMES)
    throw refuse(`it has ${volumes.length} volumes, and ${MAX_VOLUMES} are allowed`);
  const taken = [workspace];
  for (const { path, label } of volumes) {
    const other = taken.find((one) => `${path}/`.startsWith(`${one}/`) || `${one}/`.startsWith(`${path}/`));
    if (other !== undefined) throw refuse(`"${label}" at ${path} and the mount at ${other} hide each other`);
    taken.push(path);
  }
  return { workspace, volumes };
}

function readVolume(label: string, place: string, refuse: (reason: string) => Error): VolumeMount {
  if (!VOLUME_LABEL.test(label)) {
    throw refuse(`"${label}" is neither the workspace, "%1", nor a volume's name (letters, digits, . _ -)`);
  }
  const isReadonly = place.endsWith(":ro");
  const path = plain(isReadonly ? place.slice(0, -":ro".length) : place);
  checkPlace(path, SYSTEM_BESIDE_TMP, refuse);
  return { label, path, readonly: isReadonly };
}

/** A slash at the end of a folder's path says nothing more. */
function plain(path: string): string {
  return path.replace(/(?<=[^/])\/+$/, "");
}

function checkPlace(path: string, system: RegExp, refuse: (reason: string) => Error): void {
  const isPlain = /^(\/[A-Za-z0-9._@+-]+)+$/.test(path) && !/\/\.\.?(\/|$)/.test(path);
  if (!isPlain) throw refuse(`"${path}" is no plain absolute path such as ${DEFAULT_WORKSPACE}`);
  if (system.test(path)) throw refuse(`"${path}" is used by the system; take ${DEFAULT_WORKSPACE}`);
}
