import { SECTOR_BYTES } from "./log.ts";
import type { Region } from "./readTfs.ts";
import { tfsInvalid } from "./tfsInvalid.ts";

/** Where the parts of a Nanos disk lie. */
export interface DiskLayout {
  /** Kernel and kernel modules; none on a volume. */
  readonly boot: Region | null;
  readonly root: Region;
}

export const BOOT_BYTES = 12 * 2 ** 20;
const KERNEL_LOG_BYTES = 4096;
const PARTITIONS_AT = 446;
const PARTITION_BYTES = 16;
const REGION_TYPE_AT = 442;
const REGION_LENGTH_AT = 434;
/** Of the loader's region that stands for the loader itself. */
const LOADER_REGION = 12;
const MAX_LOADER_BYTES = 2 ** 20;
const TYPE = { nanos: 0x83, efi: 0xef } as const;
const HEADS = 255;
const SECTORS_PER_TRACK = 63;
const MAX_CYLINDER = 1023;

/**
 * Where the boot file system begins behind a BIOS loader and the kernel's log.
 *
 * @param loader a `boot.img`.
 * @throws GevulotError `TFS_INVALID`
 */
export function bootOffset(loader: Buffer): number {
  const isLoader =
    loader.length >= SECTOR_BYTES &&
    loader.length <= MAX_LOADER_BYTES &&
    loader.length % SECTOR_BYTES === 0 &&
    hasSignature(loader) &&
    loader.readUInt32LE(REGION_TYPE_AT) === LOADER_REGION &&
    loader.readBigUInt64LE(REGION_LENGTH_AT) === BigInt(loader.length - SECTOR_BYTES);
  if (!isLoader) throw tfsInvalid("the boot loader is none of Nanos (a boot.img)");
  return loader.length + KERNEL_LOG_BYTES;
}

/** The loader's first sector with the partitions in it: the boot file system, then the root. */
export function firstSector(loader: Buffer, partitions: readonly Region[]): Buffer {
  const sector = Buffer.from(loader.subarray(0, SECTOR_BYTES));
  partitions.forEach(({ offset, length }, index) => {
    const start = offset / SECTOR_BYTES;
    const count = length / SECTOR_BYTES;
    const entry = sector.subarray(PARTITIONS_AT + index * PARTITION_BYTES);
    entry.writeUInt8(0x80, 0);
    entry.set(cylinderHeadSector(start), 1);
    entry.writeUInt8(TYPE.nanos, 4);
    entry.set(cylinderHeadSector(start + count - 1), 5);
    entry.writeUInt32LE(start, 8);
    entry.writeUInt32LE(count, 12);
  });
  return sector;
}

function cylinderHeadSector(sector: number): number[] {
  const track = Math.floor(sector / SECTORS_PER_TRACK);
  const cylinder = Math.floor(track / HEADS);
  if (cylinder > MAX_CYLINDER) return [HEADS - 1, ((MAX_CYLINDER >> 8) << 6) | SECTORS_PER_TRACK, 0xff];
  return [track % HEADS, ((cylinder >> 8) << 6) | ((sector % SECTORS_PER_TRACK) + 1), cylinder & 0xff];
}

/**
 * Finds the file systems of a disk, or of a volume, which has no partitions.
 *
 * @param sector its first.
 * @param sizeBytes of all of it.
 * @throws GevulotError `TFS_INVALID`
 */
export function readLayout(sector: Buffer, sizeBytes: number): DiskLayout {
  if (startsAsTfs(sector)) return { boot: null, root: { offset: 0, length: sizeBytes } };
  if (sector.length < SECTOR_BYTES || !hasSignature(sector)) throw tfsInvalid("it has no partition table");
  const partitions = [0, 1, 2, 3].map((index) => {
    const entry = sector.subarray(PARTITIONS_AT + index * PARTITION_BYTES);
    return {
      type: entry.readUInt8(4),
      offset: entry.readUInt32LE(8) * SECTOR_BYTES,
      length: entry.readUInt32LE(12) * SECTOR_BYTES,
    };
  });
  const [boot, root] = partitions[0]?.type === TYPE.efi ? partitions.slice(1) : partitions;
  for (const part of [boot, root]) {
    if (part?.type !== TYPE.nanos || part.length === 0)
      throw tfsInvalid("its partitions are not those of Nanos");
    if (part.offset + part.length > sizeBytes) {
      throw tfsInvalid(
        `it is cut off: ${sizeBytes} bytes, and a partition ends at ${part.offset + part.length}`,
      );
    }
  }
  const region = (part: Region): Region => ({ offset: part.offset, length: part.length });
  return { boot: region(boot as Region), root: region(root as Region) };
}

export function startsAsTfs(bytes: Buffer): boolean {
  return bytes.toString("latin1", 0, 6) === "NVMTFS";
}

function hasSignature(sector: Buffer): boolean {
  return sector[SECTOR_BYTES - 2] === 0x55 && sector[SECTOR_BYTES - 1] === 0xaa;
}
