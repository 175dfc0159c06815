import { posix } from "node:path";
import { GevulotError } from "gevulot-sdk";
import { type ImageEntry, openImageFiles } from "./imageFiles.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    IMAGE_PATH: { readonly image: string; readonly path: string; readonly reason: string };
  }
}

export interface ImagePathOptions {
  readonly imagePath: string;
  readonly path: string;
  readonly signal?: AbortSignal | undefined;
}

const MAX_LINKS = 20;

/**
 * All that is in an image's root file system, by path; `/` itself is not.
 *
 * @throws GevulotError `IMAGE_INVALID`, `TOOL_FAILED`, `TOOL_NOT_FOUND`
 */
export async function listImage(imagePath: string, signal?: AbortSignal): Promise<readonly ImageEntry[]> {
  await using files = await openImageFiles(imagePath, signal);
  return files.entries;
}

/**
 * What `ls` shows of a path: what is in a folder, or the file itself.
 *
 * @throws GevulotError `IMAGE_PATH` and those of {@link listImage}
 */
export async function listImageFolder(options: ImagePathOptions & { readonly deep: boolean }) {
  const entries = await listImage(options.imagePath, options.signal);
  const found = followImagePath(entries, options);
  if (found !== "/" && found.kind !== "directory") return [found];
  const folder = found === "/" ? "/" : `${found.path}/`;
  return entries.filter(
    ({ path }) => path.startsWith(folder) && (options.deep || !path.slice(folder.length).includes("/")),
  );
}

/**
 * Writes a file of an image to a file descriptor of this process (1 is its standard output); links are followed within
 * the image.
 *
 * @throws GevulotError `IMAGE_PATH` and those of {@link listImage}
 */
export async function catImageFile(options: ImagePathOptions & { readonly outputFd: number }): Promise<void> {
  const { imagePath, outputFd, signal } = options;
  await using files = await openImageFiles(imagePath, signal);
  const found = followImagePath(files.entries, options);
  if (found === "/" || found.kind !== "file") {
    throw imagePathError(options, "it is a folder; image ls shows what is in it");
  }
  await files.write(found, outputFd);
}

/** The entry that a path names, with the links of its last part and of the folders on its way. */
export function followImagePath(entries: readonly ImageEntry[], options: ImagePathOptions): ImageEntry | "/" {
  const byPath = new Map(entries.map((entry) => [entry.path, entry]));
  const start = posix.resolve("/", options.path);
  let links = 0;
  const walk = (path: string): ImageEntry | "/" => {
    if (path === "/") return "/";
    const parent = walk(posix.dirname(path));
    const here = `${parent === "/" ? "" : parent.path}/${posix.basename(path)}`;
    const entry = byPath.get(here);
    if (!entry) throw imagePathError(options, "there is no such file; image ls -R shows all that are there");
    if (entry.kind !== "link") return entry;
    if (++links > MAX_LINKS) throw imagePathError(options, "its links go round in a circle");
    return walk(posix.resolve(posix.dirname(here), entry.target ?? ""));
  };
  return walk(start);
}

export function imagePathError(
  { imagePath, path }: ImagePathOptions,
  reason: string,
): GevulotError<"IMAGE_PATH"> {
  return new GevulotError("IMAGE_PATH", `${path} in ${imagePath} can't be read: ${reason}.`, {
    context: { image: imagePath, path, reason },
  });
}
