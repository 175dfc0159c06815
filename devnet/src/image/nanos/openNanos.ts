import { type FileHandle, open } from "node:fs/promises";
import { isGevulotError } from "gevulot-sdk";
import { imageInvalid } from "../descriptor.ts";
import { type DiskLayout, readLayout, startsAsTfs } from "./diskLayout.ts";
import { SECTOR_BYTES } from "./log.ts";
import { type Region, readTfs, type Tfs } from "./readTfs.ts";
import { listTfs, type TfsEntry } from "./tfsTree.ts";

/** An open Nanos disk or volume. */
export interface NanosFile extends AsyncDisposable {
  readonly path: string;
  readonly handle: FileHandle;
  readonly sizeBytes: number;
  readonly layout: DiskLayout;
  readonly root: OpenTfs;
  /** Reads the boot file system; null where there is none. */
  boot(): Promise<OpenTfs | null>;
}

export interface OpenTfs extends Tfs {
  readonly region: Region;
  readonly entries: readonly TfsEntry[];
}

/**
 * Whether a file is a Nanos disk or volume: by two of its sectors. False for what can't be read.
 */
export async function isNanos(path: string): Promise<boolean> {
  const handle = await open(path, "r").catch(() => null);
  if (handle === null) return false;
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) return false;
    const { root } = readLayout(await readSector(handle, 0), stat.size);
    return startsAsTfs(await readSector(handle, root.offset));
  } catch (error) {
    if (isGevulotError(error, "TFS_INVALID")) return false;
    throw error;
  } finally {
    await handle.close();
  }
}

/**
 * Opens a Nanos disk or volume and reads its root file system's metadata.
 *
 * @param only where one file is wanted, which is given by the names on its way, or only what the image says of itself: takes
 * little time and memory, whatever is in it.
 * @throws GevulotError `IMAGE_INVALID`
 */
export async function openNanos(path: string, only?: readonly string[]): Promise<NanosFile> {
  const handle = await open(path, "r").catch((cause: NodeJS.ErrnoException) => {
    throw imageInvalid(path, `it can't be opened (${cause.code ?? cause.message})`);
  });
  try {
    const { size } = await handle.stat();
    return await withPath(path, async () => {
      const layout = readLayout(await readSector(handle, 0), size);
      return {
        path,
        handle,
        sizeBytes: size,
        layout,
        root: await openTfs(handle, layout.root, only),
        boot: () => withPath(path, async () => (layout.boot ? openTfs(handle, layout.boot) : null)),
        [Symbol.asyncDispose]: () => handle.close(),
      };
    });
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function openTfs(handle: FileHandle, region: Region, only?: readonly string[]): Promise<OpenTfs> {
  const tfs = await readTfs(handle, region, only);
  return { ...tfs, region, entries: listTfs(tfs.root, region.length) };
}

/** What is wrong with the bytes is wrong with that image. */
export async function withPath<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isGevulotError(error, "TFS_INVALID")) throw error;
    throw imageInvalid(path, error.context.reason);
  }
}

async function readSector(handle: FileHandle, position: number): Promise<Buffer> {
  const sector = Buffer.alloc(SECTOR_BYTES);
  const { bytesRead } = await handle.read(sector, 0, SECTOR_BYTES, position);
  return sector.subarray(0, bytesRead);
}
