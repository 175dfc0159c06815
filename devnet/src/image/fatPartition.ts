import { GevulotError } from "gevulot-sdk";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    BOOT_PARTITION_TOO_LARGE: { readonly bytes: number; readonly limitBytes: number };
  }
}

/** A file of the root folder; its name in lower case, at most eight letters, then a dot and at most three or nothing. */
export interface FatFile {
  readonly name: string;
  readonly data: Uint8Array;
}

export interface FatPartition {
  readonly bytes: Buffer;
  /** Where each file's data begins in `bytes`: files are in one piece. */
  readonly offsets: ReadonlyMap<string, number>;
}

const SECTOR_BYTES = 512;
const SECTORS_PER_CLUSTER = 8;
const CLUSTER_BYTES = SECTOR_BYTES * SECTORS_PER_CLUSTER;
const RESERVED_SECTORS = 8;
const FATS = 2;
const ROOT_ENTRIES = 512;
const ENTRY_BYTES = 32;
const ROOT_SECTORS = (ROOT_ENTRIES * ENTRY_BYTES) / SECTOR_BYTES;
const MIN_CLUSTERS = 4096;
const MAX_CLUSTERS = 65_000;
/** For the boot loader, 190 KiB. */
const SPARE_CLUSTERS = 128;
const MEDIA = 0xf8;
const END_OF_CHAIN = 0xffff;
/** Of the name and of its extension. */
const LOWER_CASE = 0x08 | 0x10;
/** 1980-01-01, the oldest date that FAT knows: no clock goes into an image. */
const DATE = (1 << 5) | 1;

/**
 * A FAT16 file system with the given files. Written here and not by a tool because the runner must know at which
 * byte a file begins, and because the same files must make the same bytes.
 *
 * @param hiddenSectors where the partition begins on its disk; a BIOS boot loader reads it.
 * @throws GevulotError `BOOT_PARTITION_TOO_LARGE`
 */
export function createFatPartition(files: readonly FatFile[], hiddenSectors: number): FatPartition {
  const used = files.reduce((sum, file) => sum + clustersOf(file), 0);
  const clusters = Math.max(MIN_CLUSTERS, used + SPARE_CLUSTERS);
  if (clusters > MAX_CLUSTERS) {
    const context = {
      bytes: used * CLUSTER_BYTES,
      limitBytes: (MAX_CLUSTERS - SPARE_CLUSTERS) * CLUSTER_BYTES,
    };
    throw new GevulotError(
      "BOOT_PARTITION_TOO_LARGE",
      `Kernel and initial RAM disk take ${context.bytes} bytes; the boot partition holds ${context.limitBytes}. ` +
        "Take a smaller kernel.",
      { context },
    );
  }
  const fatSectors = Math.ceil(((clusters + 2) * 2) / SECTOR_BYTES);
  const fatStart = RESERVED_SECTORS * SECTOR_BYTES;
  const rootStart = fatStart + FATS * fatSectors * SECTOR_BYTES;
  const dataStart = rootStart + ROOT_SECTORS * SECTOR_BYTES;
  const bytes = Buffer.alloc(dataStart + clusters * CLUSTER_BYTES);
  writeBootSector(bytes, { sectors: bytes.length / SECTOR_BYTES, fatSectors, hiddenSectors });

  const fat = bytes.subarray(fatStart, fatStart + fatSectors * SECTOR_BYTES);
  fat.writeUInt16LE(0xff00 | MEDIA, 0);
  fat.writeUInt16LE(END_OF_CHAIN, 2);
  const offsets = new Map<string, number>();
  let next = 2;
  files.forEach((file, index) => {
    const count = clustersOf(file);
    for (let i = 0; i < count; i++) {
      fat.writeUInt16LE(i + 1 < count ? next + i + 1 : END_OF_CHAIN, (next + i) * 2);
    }
    const offset = dataStart + (next - 2) * CLUSTER_BYTES;
    bytes.set(file.data, offset);
    offsets.set(file.name, offset);
    writeEntry(bytes.subarray(rootStart + index * ENTRY_BYTES), file, count === 0 ? 0 : next);
    next += count;
  });
  bytes.copy(bytes, fatStart + fatSectors * SECTOR_BYTES, fatStart, fatStart + fatSectors * SECTOR_BYTES);
  return { bytes, offsets };
}

function clustersOf(file: FatFile): number {
  return Math.ceil(file.data.length / CLUSTER_BYTES);
}

interface Geometry {
  readonly sectors: number;
  readonly fatSectors: number;
  readonly hiddenSectors: number;
}

function writeBootSector(bytes: Buffer, { sectors, fatSectors, hiddenSectors }: Geometry): void {
  bytes.set([0xeb, 0x3c, 0x90], 0);
  bytes.write("GEVULOT ", 3, "latin1");
  bytes.writeUInt16LE(SECTOR_BYTES, 11);
  bytes.writeUInt8(SECTORS_PER_CLUSTER, 13);
  bytes.writeUInt16LE(RESERVED_SECTORS, 14);
  bytes.writeUInt8(FATS, 16);
  bytes.writeUInt16LE(ROOT_ENTRIES, 17);
  if (sectors < 0x10000) bytes.writeUInt16LE(sectors, 19);
  else bytes.writeUInt32LE(sectors, 32);
  bytes.writeUInt8(MEDIA, 21);
  bytes.writeUInt16LE(fatSectors, 22);
  bytes.writeUInt16LE(63, 24);
  bytes.writeUInt16LE(255, 26);
  bytes.writeUInt32LE(hiddenSectors, 28);
  bytes.writeUInt8(0x80, 36);
  bytes.writeUInt8(0x29, 38);
  bytes.writeUInt32LE(0x47565455, 39);
  bytes.write("GEVULOT    FAT16   ", 43, "latin1");
  bytes.set([0x55, 0xaa], SECTOR_BYTES - 2);
}

function writeEntry(entry: Buffer, file: FatFile, firstCluster: number): void {
  const [name = "", extension = ""] = file.name.toUpperCase().split(".");
  entry.write(name.padEnd(8) + extension.padEnd(3), 0, "latin1");
  entry.writeUInt8(0x20, 11);
  entry.writeUInt8(LOWER_CASE, 12);
  entry.writeUInt16LE(DATE, 16);
  entry.writeUInt16LE(DATE, 18);
  entry.writeUInt16LE(DATE, 24);
  entry.writeUInt16LE(firstCluster, 26);
  entry.writeUInt32LE(file.data.length, 28);
}
