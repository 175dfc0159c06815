import { GevulotError } from "gevulot-sdk";
import type { Manifest } from "../manifest.ts";
import type { TfsTuple, TfsValue } from "./tfsValue.ts";

export interface NanosProgram {
  /** In the image, absolute. */
  readonly path: string;
  /** What the program sees as its own name. */
  readonly name: string;
  readonly imageName: string;
  readonly nanosVersion: string;
}

/** A node's share has this id: the mount tag is the number after the sign. */
const NODE_MOUNT = "%0";
/** RunConfig's, by their names here. Ours; Nanos passes over what it does not know. */
export const RUN_ATTRIBUTES = {
  deadlineSeconds: "gevulot_deadline_seconds",
  memMib: "gevulot_mem_mib",
  cpus: "gevulot_cpus",
  gpus: "gevulot_gpus",
} as const;
const ARCHITECTURE = "amd64";
const MAX_DEPTH = 32;
/** What a manifest says elsewhere. */
const TAKEN = new Set(["children", "program", "arguments", "environment", "mounts"]);

/**
 * The root tuple beside its files: what Nanos starts, and how (the protocol's packaging page, sections 2 to 5).
 *
 * @throws GevulotError `MANIFEST_INVALID`: something that is passed through can't be.
 */
export function rootAttributes(manifest: Manifest, program: NanosProgram): TfsTuple {
  const root: TfsTuple = new Map<string, TfsValue>([
    ["program", program.path],
    ["arguments", [program.name, ...manifest.args]],
    ["environment", new Map<string, TfsValue>(Object.entries(environment(manifest, program)))],
    ["mounts", mounts(manifest)],
  ]);
  if (manifest.klibs.length > 0) root.set("klibs", "bootfs");
  if (manifest.rebootOnExit) root.set("reboot_on_exit", "t");
  const { deadlineSeconds, resources } = manifest.runConfig;
  for (const [name, value] of Object.entries({ deadlineSeconds, ...resources })) {
    if (value !== undefined) root.set(RUN_ATTRIBUTES[name as keyof typeof RUN_ATTRIBUTES], String(value));
  }
  for (const [name, value] of Object.entries(manifest.passthrough)) {
    const place = `ManifestPassthrough.${name}`;
    if (TAKEN.has(name)) throw manifestInvalid(place, "the manifest has a key of its own for it");
    root.set(name, passedThrough(place, value, 0));
  }
  return root;
}

function environment(manifest: Manifest, program: NanosProgram): Record<string, string> {
  return {
    USER: "root",
    PWD: "/",
    OPS_VERSION: "",
    NANOS_VERSION: program.nanosVersion,
    NANOS_ARCH: ARCHITECTURE,
    IMAGE_NAME: program.imageName,
    ...manifest.env,
  };
}

/** As ops does for `%1`: whatever its number, the task's workspace is the node's share. */
function mounts(manifest: Manifest): TfsTuple {
  const volumes = manifest.volumes.map(({ label, path, readonly }): [string, string] => [
    label,
    readonly ? `${path}:ro` : path,
  ]);
  return new Map<string, TfsValue>([[NODE_MOUNT, manifest.workspace], ...volumes]);
}

function passedThrough(place: string, value: unknown, depth: number): TfsValue {
  if (typeof value === "string") return value;
  if (depth > MAX_DEPTH) throw manifestInvalid(place, `it is nested more than ${MAX_DEPTH} deep`);
  if (Array.isArray(value)) {
    return value.map((one, index) => passedThrough(`${place}.${index}`, one, depth + 1));
  }
  if (typeof value !== "object" || value === null) {
    throw manifestInvalid(place, `write a string: ${JSON.stringify(String(value))}`);
  }
  const entries = Object.entries(value).map(([name, one]): [string, TfsValue] => [
    name,
    passedThrough(`${place}.${name}`, one, depth + 1),
  ]);
  return new Map(entries);
}

export function manifestInvalid(key: string, reason: string): GevulotError<"MANIFEST_INVALID"> {
  return new GevulotError("MANIFEST_INVALID", `The manifest's ${key} is wrong: ${reason}.`, {
    context: { key, reason },
  });
}
