import { open } from "node:fs/promises";
import { newFolder, readHostFolder } from "./folderTree.ts";
import { SECTOR_BYTES } from "./log.ts";
import type { TfsTuple, TfsValue } from "./tfsValue.ts";
import { planTfs, type TfsFolder, writeTfs } from "./writeTfs.ts";

export interface WriteTfsVolumeOptions {
  /** Must not be there yet. */
  readonly path: string;
  /** By which a Nanos image's Mounts name it. */
  readonly label: string;
  /** Default: as large as the folder needs with 64 MiB to spare, or 1 GiB. */
  readonly sizeBytes?: number | undefined;
  /** What it holds at first. */
  readonly contentDir?: string | undefined;
  readonly signal?: AbortSignal;
}

const EMPTY_BYTES = 2 ** 30;
const SPARE_BYTES = 64 * 2 ** 20;
const MIB = 2 ** 20;

/**
 * Writes a volume for Nanos guests: a TFS without partitions, sparse. Memory does not grow with the files.
 *
 * @throws GevulotError `TFS_TOO_SMALL`, `TFS_INVALID` (label), `TFS_SOURCE_CHANGED`, `MANIFEST_FILE`
 */
export async function writeTfsVolume(options: WriteTfsVolumeOptions): Promise<void> {
  const { path, label, contentDir, signal } = options;
  const root = contentDir === undefined ? newFolder() : await readHostFolder(contentDir);
  const sizeBytes = options.sizeBytes ?? defaultSize(root, contentDir !== undefined);
  const disk = await open(path, "wx", 0o600);
  try {
    await writeTfs(disk, 0, {
      root,
      attributes: attributes(),
      label,
      sizeBytes: wholeSectors(sizeBytes),
      signal,
    });
  } finally {
    await disk.close();
  }
}

/** As ops gives a volume. */
function attributes(): TfsTuple {
  const environment = new Map<string, TfsValue>([
    ["USER", "root"],
    ["PWD", "/"],
  ]);
  return new Map<string, TfsValue>([
    ["arguments", []],
    ["environment", environment],
  ]);
}

function defaultSize(root: TfsFolder, isFilled: boolean): number {
  if (!isFilled) return EMPTY_BYTES;
  return Math.ceil((planTfs(root).freeSector * SECTOR_BYTES + SPARE_BYTES) / MIB) * MIB;
}

function wholeSectors(bytes: number): number {
  return Math.floor(bytes / SECTOR_BYTES) * SECTOR_BYTES;
}
