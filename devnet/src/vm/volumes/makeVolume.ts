import { lstat, open, readdir, truncate } from "node:fs/promises";
import { join } from "node:path";
import { runTool } from "../../image/runTool.ts";
import { volumeInvalid } from "./volumeErrors.ts";

const MIB = 2 ** 20;
const MIN_BYTES = 4 * MIB;
const MAX_VOLUME_BYTES = 16 * 2 ** 40;
/** What ext4 needs besides the files: inodes, tables, a journal of up to 1 GiB. */
const SPARE_RATIO = 1.15;
const SPARE_BYTES = 64 * MIB;
const EMPTY_BYTES = 2 ** 30;
const BLOCK_BYTES = 4_096;
/** As mkfs.ext4 has it by itself: one inode for so many bytes. */
const BYTES_PER_INODE = 16_384;
const SMALL_VOLUME = { below: 512 * MIB, bytesPerInode: 4_096 };
/** Some are the file system's own, and what the volume holds may grow. */
const SPARE_INODES = 1_000;
const MAKE_TIMEOUT_MS = 6 * 60 * 60_000;
/** An unprivileged user's PATH may lack these. */
const SYSTEM_PATHS = ":/usr/sbin:/sbin:/usr/local/sbin";
/** ext4's own label; the volume's name may be longer. */
const MAX_LABEL = 16;
const UNITS: Readonly<Record<string, number>> = { "": 1, k: 2 ** 10, m: MIB, g: 2 ** 30, t: 2 ** 40 };

/**
 * Bytes of what a user wrote: `40g`, `512m`, `1048576`.
 *
 * @throws GevulotError `VOLUME_INVALID`
 */
export function parseVolumeSize(text: string): number {
  const [, number, unit = ""] = /^(\d+(?:\.\d+)?)([kmgt]?)i?b?$/i.exec(text.trim()) ?? [];
  const bytes = Math.ceil(Number(number) * (UNITS[unit.toLowerCase()] ?? Number.NaN));
  if (bytes >= MIN_BYTES && bytes <= MAX_VOLUME_BYTES) return bytes;
  throw volumeInvalid(`"${text}" is no size of a volume. Write it as 512m or 40g, 4m at least.`);
}

/**
 * Writes an ext4 volume, sparse: what is not used takes no place on the disk. Without root.
 *
 * @throws GevulotError `VOLUME_INVALID`, `TOOL_NOT_FOUND`, `TOOL_FAILED`
 */
export async function makeExt4Volume(options: {
  readonly path: string;
  readonly label: string;
  /** Default: as large as the folder needs, or 1 GiB. */
  readonly sizeBytes?: number | undefined;
  /** What it holds at first. */
  readonly contentDir?: string | undefined;
  readonly signal?: AbortSignal;
}): Promise<void> {
  const { path, label, contentDir, signal } = options;
  const tree = { bytes: 0, entries: 0 };
  if (contentDir !== undefined) await measureTree(contentDir, tree, signal);
  const contentBytes = tree.bytes;
  const needed = contentDir === undefined ? EMPTY_BYTES : contentBytes * SPARE_RATIO + SPARE_BYTES;
  const sizeBytes = options.sizeBytes ?? Math.ceil(needed / MIB) * MIB;
  if (contentBytes > sizeBytes) {
    throw volumeInvalid(
      `${contentDir} has ${contentBytes} bytes, more than the volume's ${sizeBytes}. Give a larger size, or none: then it fits.`,
    );
  }
  const file = await open(path, "wx", 0o600);
  await file.close();
  await truncate(path, sizeBytes);
  const content = contentDir === undefined ? [] : ["-d", contentDir];
  // Tables are written when they are used: else a large volume that holds little would take gigabytes.
  const features = "root_owner=0:0,lazy_itable_init=1,lazy_journal_init=1,nodiscard";
  const args = ["-q", "-F", "-m", "0", "-L", label.slice(0, MAX_LABEL), "-E", features];
  const inodes = inodesFor(tree.entries, sizeBytes);
  await runTool("mkfs.ext4", [...args, ...inodes, ...content, path], {
    timeoutMs: MAKE_TIMEOUT_MS,
    env: { PATH: (process.env.PATH ?? "") + SYSTEM_PATHS },
    ...(signal ? { signal } : {}),
  });
}

/** Many small files need more than the tool would make for so many bytes. */
function inodesFor(entries: number, sizeBytes: number): string[] {
  const isSmall = sizeBytes < SMALL_VOLUME.below;
  const usual = Math.ceil(sizeBytes / (isSmall ? SMALL_VOLUME.bytesPerInode : BYTES_PER_INODE));
  return entries + SPARE_INODES <= usual ? [] : ["-N", String(Math.max(usual, entries + SPARE_INODES))];
}

/** Adds to `tree` what a folder takes in blocks, and how many files, links and folders it has with itself. */
async function measureTree(
  folder: string,
  tree: { bytes: number; entries: number },
  signal?: AbortSignal,
): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    throw volumeInvalid(
      `The folder ${folder} can't be read (${error.code}). Give the folder to be copied into the volume.`,
    );
  });
  tree.bytes += BLOCK_BYTES;
  tree.entries++;
  for (const entry of entries) {
    signal?.throwIfAborted();
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await measureTree(path, tree, signal);
    else {
      const { size, blocks } = await lstat(path);
      const full = Math.ceil(size / BLOCK_BYTES) * BLOCK_BYTES;
      tree.bytes += Math.min(full, Math.max(blocks * 512, BLOCK_BYTES));
      tree.entries++;
    }
  }
}
