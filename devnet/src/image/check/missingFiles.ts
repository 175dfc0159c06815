import { posix, relative } from "node:path";
import { quoteForShell } from "../execProgram.ts";
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
  readonly Env?: { readonly LD_LIBRARY_PATH: string };
}

export interface MissingOptions {
  readonly opened: readonly OpenedFile[];
  /** Whether the image has a file, by the name of it here. */
  readonly isInImage: (path: string) => boolean;
  /** The manifest's files are below it. */
  readonly workingDir: string;
  readonly workspaceDir?: string | undefined;
  /**
   * The folder of the image that must be on LD_LIBRARY_PATH for a library to be found by its name, which is found here by
   * other means; null where none is needed.
   */
  readonly lackingFolder: (file: OpenedFile) => string | null;
  /** The manifest's LD_LIBRARY_PATH. */
  readonly libraryPath: string | undefined;
  /** Files of the working folder that the manifest has already, absolute as in the image. */
  readonly ownFiles: readonly string[];
  /** Whether this machine has a file. */
  readonly isHere: (path: string) => boolean;
}

/** From so many files of one folder on, the folder is offered. */
const MANY = 5;
const SYSTEM = /^\/(proc|sys|dev|run|tmp|var\/tmp)(\/|$)/;
/** Made by each system for itself, and done without where they are missing. */
const OPTIONAL =
  /^\/(etc\/(ld\.so\.(cache|preload)|localtime|locale\.alias|passwd|group|hosts|hostname)$|usr\/(lib|share)\/locale\/|usr\/share\/zoneinfo\/|usr\/lib\/(x86_64-linux-gnu\/)?gconv\/)/;
const NAME_SERVICE = /^\/etc\/(nsswitch\.conf|resolv\.conf|host\.conf|gai\.conf)$|\/libnss_\w+\.so/;
const LIBRARY = /\.so(\.[0-9.]+)?$/;

export function isLibraryName(path: string): boolean {
  return LIBRARY.test(path);
}

/** What a program opened and its image has not, sorted by what to do about it. */
export function findMissing(options: MissingOptions): MissingFiles {
  const { opened, isInImage, workingDir, workspaceDir, lackingFolder } = options;
  const isBelow = (path: string, folder: string) => !/^\.\.(\/|$)/.test(relative(folder, path));
  const counts = opened.filter(({ path, realPath }) => {
    if (workspaceDir !== undefined && isBelow(realPath, workspaceDir)) return false;
    // A developer's working folder may be under /tmp.
    if (isBelow(realPath, workingDir)) return true;
    return !SYSTEM.test(realPath) && !OPTIONAL.test(path) && !OPTIONAL.test(realPath);
  });
  const isThere = ({ path, realPath }: OpenedFile) => isInImage(path) || isInImage(realPath);
  const isLibrary = ({ path, use }: OpenedFile) => use === "read" && isLibraryName(path);
  const lacking = counts.filter(
    (file) => !isThere(file) || (isLibrary(file) && lackingFolder(file) !== null),
  );
  const services = lacking.filter(({ path }) => NAME_SERVICE.test(path));
  const wanted = lacking.filter((file) => !services.includes(file));
  const paths = (keep: (file: OpenedFile) => boolean) =>
    wanted
      .filter(keep)
      .map(({ path }) => path)
      .sort();
  const folders = wanted.filter(isLibrary).flatMap((file) => lackingFolder(file) ?? []);
  const files = wanted.filter((file) => file.use !== "written" && !isThere(file)).map(({ path }) => path);
  const { notes, ...lines } = linesFor(files, options);
  const manifest = { ...lines, ...envLine(folders, options.libraryPath) };
  return {
    libraries: paths(isLibrary),
    programs: paths(({ use }) => use === "started"),
    data: paths((file) => file.use === "read" && !isLibrary(file)),
    written: paths(({ use }) => use === "written"),
    manifest: Object.keys(manifest).length === 0 ? null : manifest,
    notes: [...(services.length === 0 ? [] : [NAME_SERVICE_NOTE]), ...notes],
  };
}

function envLine(folders: readonly string[], own: string | undefined): Pick<ManifestLines, "Env"> {
  if (folders.length === 0) return {};
  return { Env: { LD_LIBRARY_PATH: [...new Set([...(own ? [own] : []), ...folders])].join(":") } };
}

const NAME_SERVICE_NOTE =
  "It looks up names (NSS). The image has /etc/passwd, /etc/group and /etc/hosts, glibc from 2.34 on reads them by itself, and there is no network: that part is left out.";

function linesFor(
  paths: readonly string[],
  { workingDir, ownFiles, isHere }: MissingOptions,
): ManifestLines & { readonly notes: readonly string[] } {
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
  const mixed = [...own.map((path) => `/${inside(path)}`), ...ownFiles].filter(isHere);
  const isRoot = foreign.length > 0 && mixed.length === 0;
  return {
    ...(isRoot ? { TargetRoot: "/" } : {}),
    ...(files.length > 0 ? { Files: files } : {}),
    ...(dirs.length > 0 ? { Dirs: dirs.sort() } : {}),
    notes: foreign.length > 0 && !isRoot ? [mixedNote(mixed[0] ?? "", foreign, workingDir)] : [],
  };
}

/** What a TargetRoot has comes before what the working folder has. */
function mixedNote(place: string, foreign: readonly string[], workingDir: string): string {
  return (
    `With "TargetRoot": "/" the image would have this machine's ${place}, and not the working folder's: first copy what ` +
    `lies elsewhere, cd ${quoteForShell(workingDir)} && cp -L --parents -- ${foreign.map(quoteForShell).join(" ")} .`
  );
}
