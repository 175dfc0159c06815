import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { GevulotError } from "gevulot-sdk";
import { isElf, parseElf } from "./elf.ts";
import { runTool } from "./runTool.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    KERNEL_INVALID: { readonly name: string; readonly reason: string };
  }
}

export interface ExtractVmlinuxOptions {
  /** For messages. */
  readonly name: string;
  readonly signal?: AbortSignal;
}

/** Fields of the boot header, by Linux's x86 boot protocol. */
const HEADER = {
  setupSectors: 0x1f1,
  magic: 0x202,
  version: 0x206,
  payloadOffset: 0x248,
  payloadLength: 0x24c,
} as const;
const MAGIC = "HdrS";
/** The first version with a payload that can be found. */
const MIN_VERSION = 0x0208;
const SECTOR_BYTES = 512;
const DEFAULT_SETUP_SECTORS = 4;
/** The build appends the unpacked size, except to gzip, which has it already. */
const SIZE_TRAILER_BYTES = 4;
/** Several times what any has. */
const MAX_VMLINUX_BYTES = 256 * 2 ** 20;

/**
 * Unpacks the kernel proper, an ELF file, from a bzImage. QEMU boots it by its PVH note and saves the guest from
 * unpacking it, which takes 3 s without KVM. A file that is that ELF already is given back.
 *
 * @throws GevulotError `KERNEL_INVALID`; `TOOL_NOT_FOUND` where xz or zstd lack.
 */
export async function extractVmlinux(bzImage: Buffer, options: ExtractVmlinuxOptions): Promise<Buffer> {
  const { name } = options;
  const vmlinux = isElf(bzImage) ? bzImage : await unpack(findPayload(bzImage, name), options);
  if (!isElf(vmlinux)) throw kernelInvalid(name, "what is packed in it is not an ELF file");
  if (!parseElf(vmlinux, name).hasPvhEntry) {
    throw kernelInvalid(name, "it lacks the PVH entry (CONFIG_PVH) that a direct boot needs");
  }
  return vmlinux;
}

/** Version text of a bzImage, e.g. `6.1.0-42-amd64`. */
export function readKernelVersion(bzImage: Buffer): string | undefined {
  if (bzImage.length < 0x210 || bzImage.toString("latin1", HEADER.magic, HEADER.magic + 4) !== MAGIC)
    return undefined;
  const at = bzImage.readUInt16LE(0x20e) + SECTOR_BYTES;
  const end = bzImage.indexOf(0, at);
  return end < 0 ? undefined : bzImage.toString("latin1", at, Math.min(end, at + 256)).split(" ")[0];
}

function findPayload(bzImage: Buffer, name: string): Buffer {
  if (bzImage.length < 0x250 || bzImage.toString("latin1", HEADER.magic, HEADER.magic + 4) !== MAGIC) {
    throw kernelInvalid(name, "it is not a Linux kernel for x86 (bzImage)");
  }
  if (bzImage.readUInt16LE(HEADER.version) < MIN_VERSION) throw kernelInvalid(name, "it is too old");
  const setupSectors = bzImage[HEADER.setupSectors] || DEFAULT_SETUP_SECTORS;
  const start = (setupSectors + 1) * SECTOR_BYTES + bzImage.readUInt32LE(HEADER.payloadOffset);
  const end = start + bzImage.readUInt32LE(HEADER.payloadLength);
  if (end > bzImage.length || start >= end) throw kernelInvalid(name, "it is cut off");
  return bzImage.subarray(start, end);
}

async function unpack(payload: Buffer, { name, signal }: ExtractVmlinuxOptions): Promise<Buffer> {
  const sized = payload.subarray(0, -SIZE_TRAILER_BYTES);
  const options = signal ? { signal } : {};
  try {
    if (isElf(payload)) return payload;
    if (startsWith(payload, [0xfd, 0x37, 0x7a, 0x58, 0x5a])) {
      return await runTool("xz", ["-dc"], { ...options, input: sized });
    }
    if (startsWith(payload, [0x28, 0xb5, 0x2f, 0xfd])) {
      return await runTool("zstd", ["-dcq"], { ...options, input: sized });
    }
    if (startsWith(payload, [0x1f, 0x8b])) {
      return await promisify(gunzip)(payload, { maxOutputLength: MAX_VMLINUX_BYTES });
    }
    if (startsWith(payload, [0x02, 0x21, 0x4c, 0x18])) {
      return await runTool("lz4", ["-dc"], { ...options, input: sized });
    }
  } catch (cause) {
    signal?.throwIfAborted();
    if (cause instanceof GevulotError && cause.code === "TOOL_NOT_FOUND") throw cause;
    throw kernelInvalid(name, "it is damaged: it can't be unpacked", cause);
  }
  throw kernelInvalid(name, "it is packed in a way that is not known here (known: xz, zstd, gzip, lz4)");
}

function startsWith(bytes: Buffer, magic: readonly number[]): boolean {
  return magic.every((byte, index) => bytes[index] === byte);
}

function kernelInvalid(name: string, reason: string, cause?: unknown): GevulotError<"KERNEL_INVALID"> {
  return new GevulotError(
    "KERNEL_INVALID",
    `The kernel ${name} can't be used: ${reason}. Take the kernel of Debian's linux-image-amd64.`,
    { context: { name, reason }, ...(cause === undefined ? {} : { cause }) },
  );
}
