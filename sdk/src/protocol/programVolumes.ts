/**
 * Disks of a node's machine with data too large to travel with programs and tasks. A Deploy has no field for them
 * (protocol section 3), so that they are named in the fragment of an image's URL, `http://host/prover.img#volume=params:/tmp`:
 * HTTP clients send no fragment, it is signed with the rest, and it is part of the program's hash.
 */
export interface ProgramVolume {
  /** Of a volume of the node, as `gevulot-devnet volume create` made it. */
  readonly name: string;
  /** Where the program finds it. Absolute. */
  readonly path: string;
  /** Default false: to be written, which a node allows for volumes that were made for it. */
  readonly readonly?: boolean | undefined;
}

const VOLUME = /^([A-Za-z0-9][\w.-]{0,62}):((?:\/(?!\.\.?[/:]|\.\.?$)[\w.@+-]+)+)\/*(:ro)?$/;
const KEY = "volume=";

/** `params:/tmp`, or `params:/tmp:ro`. */
export function formatVolume({ name, path, readonly: isReadonly }: ProgramVolume): string {
  return `${name}:${path}${isReadonly ? ":ro" : ""}`;
}

/** Null for what names no volume and path. */
export function parseVolume(text: string): (ProgramVolume & { readonly readonly: boolean }) | null {
  const [, name, path, access] = VOLUME.exec(text) ?? [];
  return name === undefined || path === undefined ? null : { name, path, readonly: access !== undefined };
}

/** @param volumes as `parseVolume` takes them, so that nothing of them needs an escape. */
export function urlWithVolumes(url: string, volumes: readonly string[]): string {
  return volumes.reduce((whole, text) => `${whole}${whole.includes("#") ? "&" : "#"}${KEY}${text}`, url);
}

/** The volumes that a program's `imageFileUrl` names, for `parseVolume`. */
export function volumesOfUrl(url: string): string[] {
  const [, fragment = ""] = url.split(/#(.*)/s);
  const entries = fragment.split("&").filter((entry) => entry.startsWith(KEY));
  return entries.map((entry) => unescaped(entry.slice(KEY.length)));
}

function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
