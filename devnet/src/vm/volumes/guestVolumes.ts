import { setTimeout as delay } from "node:timers/promises";
import { isGevulotError } from "gevulot-sdk";
import type { DisposeStack } from "../../disposeStack.ts";
import { MAX_VOLUMES, type VolumeMount } from "../../image/manifestMounts.ts";
import { volumeInvalid } from "./volumeErrors.ts";
import type { HeldVolume, VolumeFormat, VolumeStore } from "./volumeStore.ts";

/** A volume as QEMU gets it. */
export interface VolumeDisk {
  /** This process's descriptor, to be inherited. */
  readonly fd: number;
  readonly readonly: boolean;
  readonly sizeBytes: number;
}

export interface GuestVolumes {
  /** In the order of their mounts: the guest's second disk, third, ... */
  readonly disks: readonly VolumeDisk[];
  /** For the guest kernel's command line; empty without volumes. */
  readonly cmdline: string;
}

/** Linux takes 2,048 bytes as its command line, and the rest of ours needs less than half of it. */
const MAX_CMDLINE_CHARS = 1_024;
const POLL_MS = 250;

/**
 * Takes the volumes of a program for its VM, until the stack is disposed of. One that others use is waited for, up to
 * `waitMs`.
 *
 * @throws GevulotError `VOLUME_MISSING`, `VOLUME_IN_USE`, `VOLUME_INVALID`; what aborted `signal`.
 */
export async function holdGuestVolumes(
  stack: DisposeStack,
  store: VolumeStore,
  named: readonly VolumeMount[],
  options: {
    readonly what: string;
    /** See `HoldVolumeOptions`. */
    readonly isStrangers?: boolean;
    readonly waitMs: number;
    /** Of the guest. Default `linux`. */
    readonly format?: VolumeFormat;
    readonly signal: AbortSignal;
    readonly onWait?: (reason: string) => void;
  },
): Promise<GuestVolumes> {
  const mounts = distinctMounts(named);
  if (typeof mounts === "string") throw volumeInvalid(`The volumes can't be mounted: ${mounts}.`);
  const cmdline = cmdlineOf(mounts);
  const disks: VolumeDisk[] = [];
  const deadline = performance.now() + options.waitMs;
  // In one order for all, so that two programs never wait for each other.
  const held = new Map<VolumeMount, HeldVolume>();
  for (const mount of mounts.toSorted((a, b) => (a.label < b.label ? -1 : 1))) {
    const volume = stack.use(await holdOne(store, mount, deadline, options));
    const format = options.format ?? "linux";
    if (volume.format !== format) {
      const [made, wanted] = format === "linux" ? ["Nanos", "without"] : ["Linux", "with"];
      throw volumeInvalid(
        `The volume ${mount.label} is one for ${made}, and this image's guest is not. Make it ${wanted} --format nanos.`,
      );
    }
    held.set(mount, volume);
  }
  for (const mount of mounts) {
    const { file, sizeBytes } = held.get(mount) as HeldVolume;
    disks.push({ fd: file.fd, readonly: mount.readonly, sizeBytes });
  }
  return { disks, cmdline };
}

/** Why a guest can't have these volumes together, wherever it runs; null where it can. */
export function mountsProblem(named: readonly VolumeMount[]): string | null {
  const mounts = distinctMounts(named);
  return typeof mounts === "string" ? mounts : null;
}

function cmdlineOf(mounts: readonly VolumeMount[]): string {
  if (mounts.length === 0) return "";
  return ` gv.volumes=${mounts.map((one) => one.path + (one.readonly ? ":ro" : "")).join(",")}`;
}

/**
 * An image and its task may name the same mount. One volume in two ways, or two at places that hide each other, would have
 * the task wait for itself, or find the wrong files.
 *
 * @returns what is wrong with them, or each once.
 */
function distinctMounts(named: readonly VolumeMount[]): readonly VolumeMount[] | string {
  const mounts: VolumeMount[] = [];
  for (const mount of named) {
    const { label, path, readonly: isReadonly } = mount;
    const sameLabel = mounts.find(
      (one) => one.label === label && !(one.readonly && isReadonly && one.path !== path),
    );
    if (sameLabel?.path === path && sameLabel.readonly === isReadonly) continue;
    const other = sameLabel ?? mounts.find((one) => isWithin(one.path, path) || isWithin(path, one.path));
    if (other === undefined) mounts.push(mount);
    else {
      const [one, two] = [other, mount].map(describeMount);
      return `the image and its task name ${one} and ${two}, which can't both be: name it once, or other places`;
    }
  }
  const chars = cmdlineOf(mounts).length;
  if (mounts.length <= MAX_VOLUMES && chars <= MAX_CMDLINE_CHARS) return mounts;
  return (
    `there are ${mounts.length} of them, at paths of ${chars} characters together; ${MAX_VOLUMES} volumes and ` +
    `${MAX_CMDLINE_CHARS} characters are allowed`
  );
}

function isWithin(path: string, folder: string): boolean {
  return `${path}/`.startsWith(`${folder}/`);
}

function describeMount({ label, path, readonly: isReadonly }: VolumeMount): string {
  return `the volume ${label} at ${path} (${isReadonly ? "to read" : "to write"})`;
}

async function holdOne(
  store: VolumeStore,
  { label, readonly: isReadonly }: VolumeMount,
  deadline: number,
  options: Parameters<typeof holdGuestVolumes>[3],
): Promise<HeldVolume> {
  let isTold = false;
  for (;;) {
    try {
      const { what, isStrangers } = options;
      return await store.hold(label, { readonly: isReadonly, what, isStrangers });
    } catch (error) {
      if (!isGevulotError(error, "VOLUME_IN_USE") || performance.now() >= deadline) throw error;
      if (!isTold) options.onWait?.(error.message);
      isTold = true;
    }
    await delay(POLL_MS, undefined, { signal: options.signal });
  }
}

/**
 * QEMU's arguments for a volume: a disk of the descriptor that it inherits, which it can't open itself. QEMU's own lock
 * on the file stays on, as a second net under ours.
 *
 * @param fd its number in QEMU
 */
export function volumeArgs(index: number, fd: number, isReadonly: boolean): string[] {
  const readonly = `read-only=${isReadonly ? "on" : "off"}`;
  const [name, set] = [`volume${index}`, index + 1];
  // A full disk fails the guest's writes; QEMU's own way is to stop the guest, for ever.
  const errors = isReadonly ? "" : ",werror=report,rerror=report";
  return [
    ...["-add-fd", `fd=${fd},set=${set}`],
    ...[
      "-blockdev",
      `driver=file,node-name=${name}-file,filename=/dev/fdset/${set},${readonly},discard=unmap`,
    ],
    ...["-blockdev", `driver=raw,node-name=${name},file=${name}-file,${readonly},discard=unmap`],
    ...["-device", `virtio-blk-pci,drive=${name},serial=gevulot-${index}${errors}`],
  ];
}
