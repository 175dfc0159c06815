import { createHash, webcrypto } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import {
  DESCRIPTOR_OFFSET,
  decodeDescriptor,
  type ImageExtent,
  type ImageInfo,
  imageInvalid,
  MAX_DESCRIPTOR_BYTES,
} from "./descriptor.ts";

/**
 * What a disk image says of itself. Reads at most 260 KiB, whatever the file is.
 *
 * @throws GevulotError `IMAGE_INVALID`: not an image, of another version, damaged, or cut off.
 */
export async function readImage(path: string): Promise<ImageInfo> {
  const file = await openImage(path);
  try {
    const stat = await file.stat();
    if (!stat.isFile()) throw imageInvalid(path, "it is not a file; give the path of an image");
    const bytes = Buffer.alloc(MAX_DESCRIPTOR_BYTES);
    const { bytesRead } = await file.read(bytes, 0, bytes.length, DESCRIPTOR_OFFSET);
    return decodeDescriptor(bytes.subarray(0, bytesRead), path, stat.size);
  } finally {
    await file.close();
  }
}

/**
 * Reads a part of an image and checks it: what an image says of itself is believed only as far as its bytes agree.
 *
 * @throws GevulotError `IMAGE_INVALID`
 */
export async function readExtent(
  path: string,
  part: "kernel" | "initrd",
  extent: ImageExtent,
): Promise<Buffer> {
  const bytes = Buffer.alloc(extent.length);
  const file = await openImage(path);
  try {
    const { bytesRead } = await file.read(bytes, 0, extent.length, extent.offset);
    // Up to 128 MiB: not in this thread.
    const digest = await webcrypto.subtle.digest("SHA-256", bytes);
    if (bytesRead === extent.length && Buffer.from(digest).toString("hex") === extent.sha256) return bytes;
  } finally {
    await file.close();
  }
  throw imageInvalid(path, `its ${part} is damaged; build or download it again`);
}

/** The same for a part that may be too large for memory; gives its SHA-256. */
export async function checkRoot(path: string, extent: ImageExtent, signal?: AbortSignal): Promise<string> {
  const sha256 = await hashExtent(path, extent, signal);
  if (sha256 === extent.sha256) return sha256;
  throw imageInvalid(path, "its root file system is damaged; build or download it again");
}

/** SHA-256 of the bytes that are there. */
export async function hashExtent(path: string, extent: ImageExtent, signal?: AbortSignal): Promise<string> {
  const hash = createHash("sha256");
  const range = { start: extent.offset, end: extent.offset + extent.length - 1, highWaterMark: 2 ** 20 };
  for await (const chunk of createReadStream(path, { ...range, ...(signal ? { signal } : {}) })) {
    hash.update(chunk as Uint8Array);
  }
  return hash.digest("hex");
}

async function openImage(path: string): Promise<FileHandle> {
  return open(path, "r").catch((cause: NodeJS.ErrnoException) => {
    throw imageInvalid(path, `it can't be opened (${cause.code ?? cause.message})`);
  });
}
