import { realpath, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { splitLibraryPath } from "../libraryPlaces.ts";
import { readLoaderFolders } from "../loaderFolders.ts";
import type { MissingOptions } from "./missingFiles.ts";

/** Where every image's loader looks: it has no cache. */
export const GUEST_FOLDERS: readonly string[] = [
  "/lib/x86_64-linux-gnu",
  "/usr/lib/x86_64-linux-gnu",
  "/lib",
  "/usr/lib",
];
/** Debian's loader, which goes into the image, does not know these. */
const LIB64: readonly string[] = ["/lib64", "/usr/lib64"];

export interface FolderCheckOptions {
  /** The program's LD_LIBRARY_PATH in the image. */
  readonly imagePath: string | undefined;
  /** That of whoever checks. */
  readonly libraryPath?: string | undefined;
  /** Where a folder of this machine is in the image. */
  readonly inImage: (folder: string) => string;
  /** Whether a library was put where the image's loader looks. */
  readonly isPlaced: (path: string) => boolean;
}

/** Knows of a library that this machine's loader finds by its name and the image's would not. */
export async function createFolderCheck(
  options: FolderCheckOptions,
): Promise<MissingOptions["lackingFolder"]> {
  const { inImage, isPlaced } = options;
  const { configured } = await readLoaderFolders();
  const isDebian = (await stat("/lib/x86_64-linux-gnu").catch(() => null)) !== null;
  const own = splitLibraryPath(options.imagePath);
  const known = new Set([...GUEST_FOLDERS, ...(isDebian ? [] : LIB64), ...own]);
  const lacking = new Map<string, string>();
  for (const folder of [...configured, ...splitLibraryPath(options.libraryPath)]) {
    const place = inImage(await realpath(folder).catch(() => folder));
    if (!known.has(place) && !known.has(folder)) lacking.set(folder, place);
  }
  return ({ path, realPath }) => {
    if (isPlaced(path) || isPlaced(realPath)) return null;
    return lacking.get(dirname(path)) ?? null;
  };
}
