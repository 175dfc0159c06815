import type { FileHandle } from "node:fs/promises";
import { listNanosFiles, writeNanosFile } from "./nanos/nanosFiles.ts";
import { isNanos, openNanos } from "./nanos/openNanos.ts";
import { readImage } from "./readImage.ts";
import { runTool } from "./runTool.ts";

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

/** The files of an open image, of whatever kind it is. */
export interface ImageFiles extends AsyncDisposable {
  /** By path; `/` itself is not there. */
  readonly entries: readonly ImageEntry[];
  /** Writes a file's content; a file descriptor is that of a stream, a handle that of an empty file. */
  write(entry: ImageEntry, output: FileHandle | number): Promise<void>;
}

const LINE = /^([-dl])([-rwxstST]{9}) \d+\/\d+ +(\d+) [\d-]+ [\d:]+ (.*)$/;
const KINDS = { "-": "file", d: "directory", l: "link" } as const;
/** Only reading: what is listed first is unpacked nowhere. */
const READ_ONLY = ["-no-progress", "-processors", "1"];

/**
 * Opens an image, ours with Linux or one of Nanos, to look into it.
 *
 * @throws GevulotError `IMAGE_INVALID`, `TOOL_FAILED`, `TOOL_NOT_FOUND`
 */
export async function openImageFiles(imagePath: string, signal?: AbortSignal): Promise<ImageFiles> {
  return (await isNanos(imagePath)) ? openNanosFiles(imagePath, signal) : openLinuxFiles(imagePath, signal);
}

async function openLinuxFiles(imagePath: string, signal?: AbortSignal): Promise<ImageFiles> {
  const { root } = await readImage(imagePath);
  const options = signal ? { signal } : {};
  const place = ["-offset", String(root.offset), imagePath];
  const list = [...READ_ONLY, "-UTC", "-lln", "-dest", "", ...place];
  const text = (await runTool("unsquashfs", list, options)).toString();
  return {
    entries: text.split("\n").flatMap((line) => parseLine(line) ?? []),
    async write({ path }, output) {
      const stdout = typeof output === "number" ? output : output.fd;
      const args = [...READ_ONLY, "-no-wildcards", "-cat", ...place, path.slice(1)];
      await runTool("unsquashfs", args, { stdout, ...options });
    },
    async [Symbol.asyncDispose]() {},
  };
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

async function openNanosFiles(imagePath: string, signal?: AbortSignal): Promise<ImageFiles> {
  const file = await openNanos(imagePath);
  const byPath = new Map(file.root.entries.map((entry) => [entry.path, entry]));
  return {
    entries: listNanosFiles(file.root.entries),
    write: ({ path }, output) => writeNanosFile(file, byPath.get(path), output, signal),
    [Symbol.asyncDispose]: () => file[Symbol.asyncDispose](),
  };
}
