import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { DESCRIPTOR_OFFSET, encodeDescriptor, type ImageExtent, type ImageInfo } from "./descriptor.ts";
import { createFatPartition } from "./fatPartition.ts";

const SECTOR_BYTES = 512;
const MIB = 2 ** 20;
/** Room for a boot loader's second stage before it, and for the image's description. */
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
  readonly versions: ImageInfo["versions"];
}

interface Partition {
  readonly type: number;
  readonly active: boolean;
  readonly offset: number;
  readonly length: number;
}

/**
 * Writes a disk: partition table, description, boot partition (FAT16 with `vmlinuz` and `initrd`), root partition
 * (squashfs). Needs neither root nor loop devices.
 */
export async function writeDisk(path: string, parts: DiskParts, signal?: AbortSignal): Promise<ImageInfo> {
  const boot = createFatPartition(
    [
      { name: "vmlinuz", data: parts.kernel },
      { name: "initrd", data: parts.initrd },
    ],
    BOOT_PARTITION_OFFSET / SECTOR_BYTES,
  );
  const rootOffset = alignUp(BOOT_PARTITION_OFFSET + boot.bytes.length, MIB);
  const rootBytes = (await stat(parts.rootPath)).size;
  const sizeBytes = alignUp(rootOffset + rootBytes, MIB);
  const bootFile = (name: string, data: Buffer): ImageExtent => ({
    offset: BOOT_PARTITION_OFFSET + (boot.offsets.get(name) ?? 0),
    length: data.length,
    sha256: createHash("sha256").update(data).digest("hex"),
  });

  const disk = await open(path, "wx");
  try {
    await disk.truncate(sizeBytes);
    const sha256 = await copyInto(disk, rootOffset, parts.rootPath, signal);
    const info: ImageInfo = {
      sizeBytes,
      kernel: bootFile("vmlinuz", parts.kernel),
      initrd: bootFile("initrd", parts.initrd),
      root: { offset: rootOffset, length: rootBytes, sha256 },
      program: parts.program,
      versions: parts.versions,
    };
    const partitions: Partition[] = [
      {
        type: PARTITION_TYPE.fat16Lba,
        active: true,
        offset: BOOT_PARTITION_OFFSET,
        length: boot.bytes.length,
      },
      { type: PARTITION_TYPE.linux, active: false, offset: rootOffset, length: sizeBytes - rootOffset },
    ];
    await writeAt(disk, 0, masterBootRecord(partitions, sha256));
    await writeAt(disk, DESCRIPTOR_OFFSET, encodeDescriptor(info));
    await writeAt(disk, BOOT_PARTITION_OFFSET, boot.bytes);
    return info;
  } finally {
    await disk.close();
  }
}

function masterBootRecord(partitions: readonly Partition[], rootSha256: string): Buffer {
  const sector = Buffer.alloc(SECTOR_BYTES);
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

function alignUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}
