import { posix, relative } from "node:path";
import type { OpenedFile } from "./straceLines.ts";

export interface MissingFiles {
  readonly libraries: readonly string[];
  readonly programs: readonly string[];
  readonly data: readonly string[];
  /** Written, but neither to the workspace nor to /tmp. */
  readonly written: readonly string[];
  /** What to add to the manifest; null where nothing is missing. */
  readonly manifest: ManifestLines | null;
  readonly notes: readonly string[];
}

export interface ManifestLines {
  readonly TargetRoot?: string;
  readonly Files?: readonly string[];
  readonly Dirs?: readonly string[];
}

export interface MissingOptions {
  readonly opened: readonly OpenedFile[];
  /** Whether the image has a file, by the name of it here. */
  readonly isInImage: (path: string) => boolean;
  /** The manifest's files are below it. */
  readonly workingDir: string;
  readonly workspaceDir?: string | undefined;
}

/** From so many files of one folder on, the folder is offered. */
const MANY = 5;
const SYSTEM = /^\/(proc|sys|dev|run|tmp|var\/tmp)(\/|$)/;
/** Made by each system for itself, and done without where they are missing. */
const OPTIONAL =
  /^\/(etc\/(ld\.so\.(cache|preload)|localtime|locale\.alias|passwd|group|hosts|hostname)$|usr\/(lib|share)\/locale\/|usr\/share\/zoneinfo\/|usr\/lib\/(x86_64-linux-gnu\/)?gconv\/)/;
const NAME_SERVICE = /^\/etc\/(nsswitch\.conf|resolv\.conf|host\.conf|gai\.conf)$|\/libnss_\w+\.so/;
const LIBRARY = /\.so(\.[0-9.]+)?$/;

/** What a program opened and its image has not, sorted by what to do about it. */
export function findMissing({ opened, isInImage, workingDir, workspaceDir }: MissingOptions): MissingFiles {
  const isBelow = (path: string, folder: string) => !/^\.\.(\/|$)/.test(relative(folder, path));
  const counts = opened.filter(({ path, realPath }) => {
    if (workspaceDir !== undefined && isBelow(realPath, workspaceDir)) return false;
    // A developer's working folder may be under /tmp.
    if (isBelow(realPath, workingDir)) return true;
    return !SYSTEM.test(realPath) && !OPTIONAL.test(path) && !OPTIONAL.test(realPath);
  });
  const lacking = counts.filter(({ path, realPath }) => !isInImage(path) && !isInImage(realPath));
  const services = lacking.filter(({ path }) => NAME_SERVICE.test(path));
  const wanted = lacking.filter((file) => !services.includes(file));
  const paths = (keep: (file: OpenedFile) => boolean) =>
    wanted
      .filter(keep)
      .map(({ path }) => path)
      .sort();
  const read = wanted.filter(({ use }) => use !== "written").map(({ path }) => path);
  return {
    libraries: paths(({ path, use }) => use === "read" && LIBRARY.test(path)),
    programs: paths(({ use }) => use === "started"),
    data: paths(({ path, use }) => use === "read" && !LIBRARY.test(path)),
    written: paths(({ use }) => use === "written"),
    manifest: read.length === 0 ? null : manifestLines(read, workingDir),
    notes: services.length === 0 ? [] : [NAME_SERVICE_NOTE],
  };
}

const NAME_SERVICE_NOTE =
  "It looks up names (NSS). The image has /etc/passwd, /etc/group and /etc/hosts, glibc from 2.34 on reads them by itself, and there is no network: that part is left out.";

function manifestLines(paths: readonly string[], workingDir: string): ManifestLines {
  const inside = (path: string) => relative(workingDir, path);
  const own = paths.filter((path) => !inside(path).startsWith(".."));
  const foreign = paths.filter((path) => inside(path).startsWith(".."));
  const folders = new Map<string, string[]>();
  for (const path of own.map(inside)) {
    const folder = posix.dirname(path);
    folders.set(folder, [...(folders.get(folder) ?? []), path]);
  }
  const isMany = ([folder, files]: [string, string[]]) => folder !== "." && files.length >= MANY;
  const dirs = [...folders].filter(isMany).map(([folder]) => folder);
  const single = [...folders].filter((one) => !isMany(one)).flatMap(([, files]) => files);
  const files = [...single, ...foreign.map((path) => path.replace(/^\//, ""))].sort();
  return {
    ...(foreign.length > 0 ? { TargetRoot: "/" } : {}),
    ...(files.length > 0 ? { Files: files } : {}),
    ...(dirs.length > 0 ? { Dirs: dirs.sort() } : {}),
  };
}
