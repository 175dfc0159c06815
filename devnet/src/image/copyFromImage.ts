import { lstat, mkdir, open, rm, stat, symlink } from "node:fs/promises";
import { basename, join, posix, resolve } from "node:path";
import { GevulotError } from "gevulot-sdk";
import { requireFileTarget } from "../requireFileTarget.ts";
import { type ImageEntry, type ImageFiles, openImageFiles } from "./imageFiles.ts";
import { followImagePath, imagePathError } from "./listImage.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    COPY_TARGET: { readonly path: string; readonly reason: string };
  }
}

export interface CopyFromImageOptions {
  readonly imagePath: string;
  readonly paths: readonly string[];
  /** A folder, into which the copies go; or, of one path, the copy itself. */
  readonly target: string;
  /** Folders too, with what is in them. */
  readonly deep: boolean;
  /** What links lead to, instead of the links. */
  readonly followLinks: boolean;
  readonly signal?: AbortSignal | undefined;
}

const MAX_FOLDERS_DEEP = 1024;

/**
 * Copies files, links and folders out of an image. Nothing is written outside of the target, whatever the image holds:
 * names are checked, and no link of the target is followed.
 *
 * @returns how many files and links were written.
 * @throws GevulotError `IMAGE_PATH`, `IMAGE_INVALID`, `COPY_TARGET`, `OUTPUT_NOT_A_FILE`
 */
export async function copyFromImage(options: CopyFromImageOptions): Promise<number> {
  const { imagePath, paths, signal } = options;
  const target = resolve(options.target);
  const isFolder = (await stat(target).catch(() => null))?.isDirectory() ?? false;
  if (paths.length > 1 && !isFolder)
    throw targetError(target, "of several files it must be a folder that is there");
  await using files = await openImageFiles(imagePath, signal);
  const byPath = new Map(files.entries.map((entry) => [entry.path, entry]));
  const byFolder = groupByFolder(files.entries);
  let written = 0;

  const copy = async (entry: ImageEntry | "/", to: string, open: readonly string[]): Promise<void> => {
    signal?.throwIfAborted();
    if (entry !== "/" && entry.kind !== "directory") {
      await writeEntry(files, entry, to);
      written++;
      return;
    }
    const path = entry === "/" ? "/" : entry.path;
    if (open.includes(path) || open.length >= MAX_FOLDERS_DEEP) {
      throw imagePathError({ imagePath, path }, "its links lead back to it; copy without -L");
    }
    await makeFolder(to);
    for (const child of byFolder.get(path) ?? []) {
      const name = posix.basename(child.path);
      if (name === "." || name === ".." || name === "")
        throw imagePathError({ imagePath, path }, `"${name}" is no name`);
      await copy(options.followLinks ? resolved(child) : child, join(to, name), [...open, path]);
    }
  };
  const resolved = (entry: ImageEntry): ImageEntry | "/" =>
    entry.kind === "link" ? followImagePath(files.entries, { imagePath, path: entry.path }) : entry;

  for (const path of paths) {
    const place = posix.resolve("/", path);
    const own = byPath.get(place);
    const isLink = own?.kind === "link" && !options.followLinks;
    const found = isLink ? own : followImagePath(files.entries, { imagePath, path });
    if ((found === "/" || found.kind === "directory") && !options.deep) {
      throw imagePathError({ imagePath, path }, "it is a folder; give -r to copy all that is in it");
    }
    const to = isFolder && place !== "/" ? join(target, basename(place)) : target;
    await copy(found, to, []);
  }
  return written;
}

function groupByFolder(entries: readonly ImageEntry[]): Map<string, ImageEntry[]> {
  const folders = new Map<string, ImageEntry[]>();
  for (const entry of entries) {
    const folder = posix.dirname(entry.path);
    const there = folders.get(folder);
    if (there) there.push(entry);
    else folders.set(folder, [entry]);
  }
  return folders;
}

async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // The target itself may be a link of the user's; what a copy has made is none.
    if (code !== "EEXIST") throw targetError(path, `it can't be made (${code})`);
    if (!(await lstat(path)).isDirectory()) throw targetError(path, "it is there and is no folder");
  }
}

async function writeEntry(files: ImageFiles, entry: ImageEntry, to: string): Promise<void> {
  const there = await lstat(to).catch(() => null);
  if (there?.isDirectory()) throw targetError(to, "it is a folder");
  await requireFileTarget(to);
  if (there) await rm(to);
  if (entry.kind === "link") {
    await symlink(entry.target ?? "", to);
    return;
  }
  const mode = entry.mode.includes("x") ? 0o755 : 0o644;
  const handle = await open(to, "wx", mode).catch((cause: NodeJS.ErrnoException) => {
    throw targetError(to, `it can't be made (${cause.code ?? cause.message})`);
  });
  try {
    await files.write(entry, handle);
  } finally {
    await handle.close();
  }
}

function targetError(path: string, reason: string): GevulotError<"COPY_TARGET"> {
  return new GevulotError("COPY_TARGET", `Nothing can be copied to ${path}: ${reason}.`, {
    context: { path, reason },
  });
}
