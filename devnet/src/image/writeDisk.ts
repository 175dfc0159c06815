import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { BOOT_CONFIG, installBootLoader, readBootCode } from "./bootLoader.ts";
import {
  DESCRIPTOR_OFFSET,
  decodeDescriptor,
  encodeDescriptor,
  type ImageExtent,
  type ImageInfo,
} from "./descriptor.ts";
import { createFatPartition } from "./fatPartition.ts";

const SECTOR_BYTES = 512;
const MIB = 2 ** 20;
/** Room for the image's description before it. */
const BOOT_PARTITION_OFFSET = MIB;
const PARTITION_TYPE = { fat16Lba: 0x0e, linux: 0x83 } as const;
const PARTITION_TABLE_AT = 446;
const DISK_ID_AT = 440;
const COPY_CHUNK_BYTES = MIB;

export interface DiskParts {
  readonly kernel: Buffer;
  readonly initrd: Buffer;
  /** A squashfs. */
  readonly rootPath: string;
  readonly program: ImageInfo["program"];
  readonly resources?: ImageInfo["resources"];
  readonly deadlineSeconds?: ImageInfo["deadlineSeconds"];
  readonly versions: ImageInfo["versions"];
}

interface Partition {
  readonly type: number;
  readonly active: boolean;
  readonly offset: number;
  readonly length: number;
}

/**
 * Writes a disk: partition table, description, boot partition (FAT16 with `vmlinuz`, `initrd` and a BIOS boot
 * loader), root partition (squashfs). Needs neither root nor loop devices.
 */
export async function writeDisk(path: string, parts: DiskParts, signal?: AbortSignal): Promise<ImageInfo> {
  const boot = createFatPartition(
    [
      { name: "vmlinuz", data: parts.kernel },
      { name: "initrd", data: parts.initrd },
      { name: "syslinux.cfg", data: Buffer.from(BOOT_CONFIG) },
    ],
    BOOT_PARTITION_OFFSET / SECTOR_BYTES,
  );
  const rootOffset = alignUp(BOOT_PARTITION_OFFSET + boot.bytes.length, MIB);
  const rootBytes = (await stat(parts.rootPath)).size;
  const sizeBytes = alignUp(rootOffset + rootBytes, MIB);
  const bootFile = (name: string, data: Buffer) =>
    extentOf(BOOT_PARTITION_OFFSET + (boot.offsets.get(name) ?? 0), data);

  const disk = await open(path, "wx+");
  try {
    await disk.truncate(sizeBytes);
    const sha256 = await copyInto(disk, rootOffset, parts.rootPath, signal);
    const partitions: Partition[] = [
      {
        type: PARTITION_TYPE.fat16Lba,
        active: true,
        offset: BOOT_PARTITION_OFFSET,
        length: boot.bytes.length,
      },
      { type: PARTITION_TYPE.linux, active: false, offset: rootOffset, length: sizeBytes - rootOffset },
    ];
    const firstSector = masterBootRecord(await readBootCode(), partitions, sha256);
    await writeAt(disk, 0, firstSector);
    await writeAt(disk, BOOT_PARTITION_OFFSET, boot.bytes);
    await installBootLoader(path, BOOT_PARTITION_OFFSET, signal);
    await readBack(disk, BOOT_PARTITION_OFFSET, boot.bytes);
    const info: ImageInfo = {
      sizeBytes,
      firstSector: extentOf(0, firstSector),
      boot: extentOf(BOOT_PARTITION_OFFSET, boot.bytes),
      kernel: bootFile("vmlinuz", parts.kernel),
      initrd: bootFile("initrd", parts.initrd),
      root: { offset: rootOffset, length: rootBytes, sha256 },
      program: parts.program,
      ...(parts.resources ? { resources: parts.resources } : {}),
      ...(parts.deadlineSeconds === undefined ? {} : { deadlineSeconds: parts.deadlineSeconds }),
      versions: parts.versions,
    };
    const description = encodeDescriptor(info);
    // What could not be read would be seen when it is deployed.
    decodeDescriptor(description, path, info.sizeBytes);
    await writeAt(disk, DESCRIPTOR_OFFSET, description);
    return info;
  } finally {
    await disk.close();
  }
}

function extentOf(offset: number, bytes: Buffer): ImageExtent {
  return { offset, length: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
}

function masterBootRecord(code: Buffer, partitions: readonly Partition[], rootSha256: string): Buffer {
  const sector = Buffer.alloc(SECTOR_BYTES);
  code.copy(sector);
  sector.write(rootSha256.slice(0, 8), DISK_ID_AT, "hex");
  partitions.forEach((partition, index) => {
    const entry = sector.subarray(PARTITION_TABLE_AT + index * 16);
    entry.writeUInt8(partition.active ? 0x80 : 0, 0);
    // Beyond what cylinders, heads and sectors can say: use the sector numbers.
    entry.set([0xfe, 0xff, 0xff], 1);
    entry.writeUInt8(partition.type, 4);
    entry.set([0xfe, 0xff, 0xff], 5);
    entry.writeUInt32LE(partition.offset / SECTOR_BYTES, 8);
    entry.writeUInt32LE(partition.length / SECTOR_BYTES, 12);
  });
  sector.set([0x55, 0xaa], SECTOR_BYTES - 2);
  return sector;
}

async function copyInto(
  disk: FileHandle,
  offset: number,
  source: string,
  signal?: AbortSignal,
): Promise<string> {
  const hash = createHash("sha256");
  let at = offset;
  for await (const chunk of createReadStream(source, { highWaterMark: COPY_CHUNK_BYTES })) {
    signal?.throwIfAborted();
    hash.update(chunk as Buffer);
    await writeAt(disk, at, chunk as Buffer);
    at += (chunk as Buffer).length;
  }
  return hash.digest("hex");
}

async function writeAt(disk: FileHandle, offset: number, bytes: Buffer): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += (await disk.write(bytes, done, bytes.length - done, offset + done)).bytesWritten;
  }
}

async function readBack(disk: FileHandle, offset: number, bytes: Buffer): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesRead } = await disk.read(bytes, done, bytes.length - done, offset + done);
    if (bytesRead === 0) throw new Error("the disk is shorter than what was written to it");
    done += bytesRead;
  }
}

function alignUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}
