import { posix } from "node:path";
import { GevulotError } from "gevulot-sdk";
import { readImage } from "./readImage.ts";
import { runTool } from "./runTool.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    IMAGE_PATH: { readonly image: string; readonly path: string; readonly reason: string };
  }
}

/** A file, link or folder of an image's root file system. */
export interface ImageEntry {
  readonly kind: "file" | "link" | "directory";
  /** Absolute. */
  readonly path: string;
  /** As `ls` writes it: `-rwxr-xr-x`. */
  readonly mode: string;
  readonly sizeBytes: number;
  /** Where a link leads, as written. */
  readonly target?: string;
}

export interface ImagePathOptions {
  readonly imagePath: string;
  readonly path: string;
  readonly signal?: AbortSignal | undefined;
}

const LINE = /^([-dl])([-rwxstST]{9}) \d+\/\d+ +(\d+) [\d-]+ [\d:]+ (.*)$/;
const KINDS = { "-": "file", d: "directory", l: "link" } as const;
const MAX_LINKS = 20;
/** Only reading: what is listed first is unpacked nowhere. */
const READ_ONLY = ["-no-progress", "-processors", "1"];

/**
 * All that is in an image's root file system, by path; `/` itself is not.
 *
 * @throws GevulotError `IMAGE_INVALID`, `TOOL_FAILED`, `TOOL_NOT_FOUND`
 */
export async function listImage(imagePath: string, signal?: AbortSignal): Promise<ImageEntry[]> {
  const { root } = await readImage(imagePath);
  const args = [...READ_ONLY, "-UTC", "-lln", "-dest", "", "-offset", String(root.offset), imagePath];
  const text = (await runTool("unsquashfs", args, signal ? { signal } : {})).toString();
  return text.split("\n").flatMap((line) => parseLine(line) ?? []);
}

function parseLine(line: string): ImageEntry | undefined {
  const [, type, permissions, size, rest = ""] = LINE.exec(line) ?? [];
  const kind = KINDS[type as keyof typeof KINDS];
  if (kind === undefined || rest === "") return undefined;
  const arrow = kind === "link" ? rest.indexOf(" -> ") : -1;
  const entry = { kind, mode: `${type}${permissions}`, sizeBytes: Number(size) };
  return arrow < 0
    ? { ...entry, path: rest }
    : { ...entry, path: rest.slice(0, arrow), target: rest.slice(arrow + 4) };
}

/**
 * What `ls` shows of a path: what is in a folder, or the file itself.
 *
 * @throws GevulotError `IMAGE_PATH` and those of {@link listImage}
 */
export async function listImageFolder(options: ImagePathOptions & { readonly deep: boolean }) {
  const entries = await listImage(options.imagePath, options.signal);
  const found = follow(entries, options);
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
  const found = follow(await listImage(imagePath, signal), options);
  if (found === "/" || found.kind !== "file") {
    throw pathError(options, "it is a folder; image ls shows what is in it");
  }
  const { root } = await readImage(imagePath);
  const place = ["-offset", String(root.offset), imagePath, found.path.slice(1)];
  const args = [...READ_ONLY, "-no-wildcards", "-cat", ...place];
  await runTool("unsquashfs", args, { stdout: outputFd, ...(signal ? { signal } : {}) });
}

/** The entry that a path names, with the links of its last part and of the folders on its way. */
function follow(entries: readonly ImageEntry[], options: ImagePathOptions): ImageEntry | "/" {
  const byPath = new Map(entries.map((entry) => [entry.path, entry]));
  const start = posix.resolve("/", options.path);
  let links = 0;
  const walk = (path: string): ImageEntry | "/" => {
    if (path === "/") return "/";
    const parent = walk(posix.dirname(path));
    const here = `${parent === "/" ? "" : parent.path}/${posix.basename(path)}`;
    const entry = byPath.get(here);
    if (!entry) throw pathError(options, "there is no such file; image ls -R shows all that are there");
    if (entry.kind !== "link") return entry;
    if (++links > MAX_LINKS) throw pathError(options, "its links go round in a circle");
    return walk(posix.resolve(posix.dirname(here), entry.target ?? ""));
  };
  return walk(start);
}

function pathError({ imagePath, path }: ImagePathOptions, reason: string): GevulotError<"IMAGE_PATH"> {
  return new GevulotError("IMAGE_PATH", `${path} in ${imagePath} can't be read: ${reason}.`, {
    context: { image: imagePath, path, reason },
  });
}
