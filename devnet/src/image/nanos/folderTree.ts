import { lstat, readdir, readlink, stat } from "node:fs/promises";
import { join } from "node:path";
import { GevulotError } from "gevulot-sdk";
import type { ProgramFile } from "../programFiles.ts";
import type { TfsFile, TfsFolder, TfsNode } from "./writeTfs.ts";

const MAX_ENTRIES = 1_000_000;

export function newFolder(): TfsFolder {
  return { kind: "directory", children: new Map() };
}

/** A file of the host; its size is what it is now. */
export async function hostFile(source: string): Promise<TfsFile> {
  return { kind: "file", source, sizeBytes: (await stat(source)).size };
}

export function textFile(text: string): TfsFile {
  const source = Buffer.from(text);
  return { kind: "file", source, sizeBytes: source.length };
}

/**
 * Puts a file, link or folder into a tree, with the folders on its way. A folder that is there stays.
 *
 * @throws GevulotError `MANIFEST_FILE`: something on its way, or in its place, is of another kind.
 */
export function put(root: TfsFolder, path: string, node: TfsNode): void {
  const parts = path.split("/").filter(Boolean);
  const name = parts.pop();
  if (name === undefined) return;
  let folder = root;
  for (const part of parts) {
    const next = folder.children.get(part) ?? newFolder();
    folder.children.set(part, next);
    if (next.kind !== "directory") throw inTheWay(path, part);
    folder = next;
  }
  const there = folder.children.get(name);
  if (there?.kind === "directory") {
    if (node.kind !== "directory") throw inTheWay(path, name);
    return;
  }
  if (there && node.kind === "directory") throw inTheWay(path, name);
  folder.children.set(name, node);
}

export async function putProgramFile(root: TfsFolder, file: ProgramFile): Promise<void> {
  if (file.kind === "directory") return put(root, file.path, newFolder());
  if (file.kind === "file") return put(root, file.path, await hostFile(file.source));
  put(root, file.path, { kind: "link", target: await readlink(file.source) });
}

/**
 * All of a folder of the host, by name. Links stay links; one that leads nowhere is left out, as ops does, and so is
 * what is neither file, folder nor link.
 *
 * @throws GevulotError `MANIFEST_FILE`: there are too many.
 */
export async function readHostFolder(source: string): Promise<TfsFolder> {
  let count = 0;
  const read = async (folder: string): Promise<TfsFolder> => {
    const children = new Map<string, TfsNode>();
    for (const name of (await readdir(folder)).sort()) {
      if (++count > MAX_ENTRIES) throw unusable(source, `it has more than ${MAX_ENTRIES} files`);
      const path = join(folder, name);
      const found = await lstat(path);
      if (found.isDirectory()) children.set(name, await read(path));
      else if (found.isFile()) children.set(name, { kind: "file", source: path, sizeBytes: found.size });
      else if (found.isSymbolicLink() && (await stat(path).catch(() => null))) {
        children.set(name, { kind: "link", target: await readlink(path) });
      }
    }
    return { kind: "directory", children };
  };
  return read(source);
}

/** By name, so that the same files make the same bytes in whatever order they came. */
export function sorted(folder: TfsFolder): TfsFolder {
  const children = [...folder.children]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, node]): [string, TfsNode] => [name, node.kind === "directory" ? sorted(node) : node]);
  return { kind: "directory", children: new Map(children) };
}

function inTheWay(path: string, part: string): GevulotError<"MANIFEST_FILE"> {
  return unusable(
    path,
    `"${part}" in it is a file or a link of the image and would be a folder, or the reverse`,
  );
}

function unusable(path: string, reason: string): GevulotError<"MANIFEST_FILE"> {
  return new GevulotError("MANIFEST_FILE", `${path} can't be put into the image: ${reason}.`, {
    context: { key: "Files", path, reason },
  });
}
