import { isGevulotError } from "gevulot-sdk";
import type { ImageExtent, ImageInfo } from "./descriptor.ts";
import { readKernelVersion } from "./extractVmlinux.ts";
import { listImage } from "./listImage.ts";
import { isNanos } from "./nanos/openNanos.ts";
import { verifyNanos } from "./nanos/verifyNanos.ts";
import { hashExtent, readExtent, readImage } from "./readImage.ts";
import { NODE_PATH, RUN_FILE } from "./rootTree.ts";

/** One part of an image that was looked at. */
export interface ImageCheck {
  readonly part: string;
  /** What is there, in a few words. */
  readonly found: string;
  /** Null where nothing is wrong. */
  readonly problem: string | null;
}

const CPIO_MAGIC = "070701";
const CHANGED = "its bytes are not those that were written when it was built";

/**
 * Reads all of an image and checks each part: its bytes by their checksums, the kernel and the initial RAM disk by
 * their formats, the root file system by listing it. Memory does not grow with the image.
 *
 * @throws GevulotError `IMAGE_INVALID` where the image's description is wrong, without which nothing can be checked;
 * `TOOL_NOT_FOUND`.
 */
export async function verifyImage(path: string, signal?: AbortSignal): Promise<ImageCheck[]> {
  if (await isNanos(path)) return verifyNanos(path, signal);
  const info = await readImage(path);
  const part = async (name: string, extent: ImageExtent, look: () => Promise<string | null>) => ({
    part: name,
    found: `${extent.length} bytes at ${extent.offset}`,
    problem: (await hashExtent(path, extent, signal)) === extent.sha256 ? await look() : CHANGED,
  });
  const nothing = async () => null;
  return [
    { part: "description", found: `${info.program.kind} program ${info.program.path}`, problem: null },
    await part("first sector", info.firstSector, nothing),
    await part("boot partition", info.boot, nothing),
    await part("kernel", info.kernel, () => lookAtKernel(path, info)),
    await part("initrd", info.initrd, () => lookAtInitrd(path, info)),
    await part("root", info.root, () => lookAtRoot(path, info, signal)),
  ];
}

async function lookAtKernel(path: string, info: ImageInfo): Promise<string | null> {
  const version = readKernelVersion(await readExtent(path, "kernel", info.kernel));
  if (version === undefined) return "it is no Linux kernel";
  return version === info.versions.kernel ? null : `it is Linux ${version}, not ${info.versions.kernel}`;
}

async function lookAtInitrd(path: string, info: ImageInfo): Promise<string | null> {
  const bytes = await readExtent(path, "initrd", info.initrd);
  return bytes.toString("latin1", 0, CPIO_MAGIC.length) === CPIO_MAGIC ? null : "it is no initial RAM disk";
}

async function lookAtRoot(path: string, info: ImageInfo, signal?: AbortSignal): Promise<string | null> {
  try {
    const places = new Set((await listImage(path, signal)).map((entry) => entry.path));
    const wanted = [info.program.path, RUN_FILE, ...(info.program.kind === "js" ? [NODE_PATH] : [])];
    const missing = wanted.filter((place) => !places.has(place));
    return missing.length === 0 ? null : `${missing.join(" and ")} is not in it`;
  } catch (error) {
    if (!isGevulotError(error, "TOOL_FAILED")) throw error;
    return `it can't be read (${error.context.stderr.trim().split("\n")[0]})`;
  }
}
