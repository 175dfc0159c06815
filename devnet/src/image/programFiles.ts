import { lstat, readdir, realpath, stat } from "node:fs/promises";
import { basename, dirname, isAbsolute, join, posix, relative, resolve } from "node:path";
import { GevulotError } from "gevulot-sdk";
import type { Manifest } from "./manifest.ts";
import { resolveInRoot } from "./rootedPath.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    MANIFEST_FILE: { readonly key: string; readonly path: string; readonly reason: string };
  }
}

/** A file, link or folder of the host, and where it goes in the image (absolute). */
export interface ProgramFile {
  readonly kind: "file" | "link" | "directory";
  readonly source: string;
  readonly path: string;
}

const MAX_FILES = 100_000;
/** Where the machine mounts file systems of its own. */
const SYSTEM = /^\/(proc|sys|dev|tmp)(\/|$)/;
/** Of the image itself, and of a devnet in that folder, with its keys. */
const OURS = ".gevulot";

export interface ProgramFiles {
  readonly files: readonly ProgramFile[];
  /** What was left out. */
  readonly notes: readonly string[];
}

interface Listing {
  /** Nanos mounts nothing of its own over an image's folders. */
  readonly isLinux: boolean;
  readonly files: ProgramFile[];
  readonly leftOut: string[];
}

/**
 * What a manifest's Files, Dirs and MapDirs name, looked up under the working folder.
 *
 * @throws GevulotError `MANIFEST_FILE`, naming the entry.
 */
export async function listProgramFiles(
  manifest: Manifest,
  workingDir: string,
  format: "linux" | "nanos" = "linux",
): Promise<ProgramFiles> {
  const files: ProgramFile[] = [];
  const listing: Listing = { isLinux: format === "linux", files, leftOut: [] };
  const inImage = (key: string, path: string): string => {
    const place = posix.resolve("/", path);
    if (isReserved(listing, place)) throw wrong(key, path, `${place} is used by the system`);
    return place;
  };
  const find = async (key: string, path: string): Promise<string> => {
    const source = await lookUp(key, path, workingDir, manifest.targetRoot);
    if (await leadsToOurs(source, workingDir))
      throw wrong(key, path, `it leads into ${OURS}, which is used by the system`);
    return source;
  };
  for (const path of manifest.files) {
    const source = await find("Files", path);
    const kind = await kindOf("Files", path, source);
    if (kind === "directory") throw wrong("Files", path, "it is a folder; name it in Dirs");
    files.push({ kind: "file", source, path: inImage("Files", path) });
  }
  for (const path of manifest.dirs) {
    const source = await find("Dirs", path);
    if ((await kindOf("Dirs", path, source)) !== "directory") {
      throw wrong("Dirs", path, "it is no folder; name it in Files");
    }
    await addTree(listing, source, inImage("Dirs", path));
  }
  for (const [pattern, folder] of Object.entries(manifest.mapDirs)) {
    for (const source of await matching(pattern, find)) {
      await addTree(listing, source, posix.join(inImage("MapDirs", folder), basename(source)));
    }
  }
  files.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  const notes = listing.leftOut.map((path) => `${path} is left out: it is used by the system.`);
  return { files, notes };
}

/** As ops: what the target root has comes first. */
async function lookUp(key: string, path: string, workingDir: string, targetRoot?: string): Promise<string> {
  const inTarget = targetRoot === undefined ? null : await resolveInRoot(targetRoot, path);
  if (inTarget !== null) return inTarget.source;
  if (isAbsolute(path)) throw wrong(key, path, `paths are relative to the working folder ${workingDir}`);
  const source = resolve(workingDir, path);
  if (relative(workingDir, source).startsWith("..")) {
    throw wrong(key, path, `it lies outside the working folder ${workingDir}`);
  }
  return source;
}

function isReserved({ isLinux }: Listing, place: string): boolean {
  return place.split("/").includes(OURS) || (isLinux && SYSTEM.test(place));
}

/** By a link. */
async function leadsToOurs(source: string, workingDir: string): Promise<boolean> {
  const real = await realpath(source).catch(() => source);
  const inside = relative(await realpath(workingDir).catch(() => workingDir), real).split("/");
  return inside[0] !== ".." && inside.includes(OURS);
}

async function kindOf(key: string, path: string, source: string): Promise<"file" | "directory"> {
  const found = await stat(source).catch((cause: NodeJS.ErrnoException) => {
    throw wrong(key, path, `${source} can't be read (${cause.code ?? cause.message})`);
  });
  if (found.isFile()) return "file";
  if (found.isDirectory()) return "directory";
  throw wrong(key, path, `${source} is neither a file nor a folder`);
}

async function addTree(listing: Listing, source: string, path: string): Promise<void> {
  const { files, leftOut } = listing;
  if (isReserved(listing, path)) return void leftOut.push(path);
  if (files.length >= MAX_FILES) throw wrong("Dirs", path, `there are more than ${MAX_FILES} files`);
  if (/\n/.test(path)) throw wrong("Dirs", path, "its name has a line break");
  const found = await lstat(source);
  if (found.isSymbolicLink()) {
    // As ops: links stay links, and one that leads nowhere is left out.
    const leads = await stat(source).catch(() => undefined);
    if (leads) files.push({ kind: "link", source, path });
  } else if (found.isDirectory()) {
    files.push({ kind: "directory", source, path });
    for (const name of (await readdir(source)).sort())
      await addTree(listing, join(source, name), posix.join(path, name));
  } else if (found.isFile()) {
    files.push({ kind: "file", source, path });
  }
}

/** `*` in the last part of the pattern. */
async function matching(
  pattern: string,
  find: (key: string, path: string) => Promise<string>,
): Promise<string[]> {
  const folder = dirname(pattern);
  if (folder.includes("*")) throw wrong("MapDirs", pattern, "only its last part may have a *");
  const source = await find("MapDirs", folder);
  const parts = basename(pattern)
    .split("*")
    .map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  const wanted = new RegExp(`^${parts.join(".*")}$`, "s");
  const names = await readdir(source).catch(() => []);
  const found = names.filter((name) => wanted.test(name)).sort();
  if (found.length === 0) throw wrong("MapDirs", pattern, `nothing in ${source} matches it`);
  return found.map((name) => join(source, name));
}

function wrong(key: string, path: string, reason: string): GevulotError {
  return new GevulotError("MANIFEST_FILE", `The manifest's ${key} has "${path}": ${reason}.`, {
    context: { key, path, reason },
  });
}
