import { SECTOR_BYTES } from "./log.ts";
import type { Region } from "./readTfs.ts";
import { tfsInvalid } from "./tfsInvalid.ts";
import { isTuple, type TfsTuple, type TfsValue } from "./tfsValue.ts";

export type TfsEntry =
  | { readonly kind: "directory"; readonly path: string }
  | { readonly kind: "link"; readonly path: string; readonly target: string }
  | {
      readonly kind: "file";
      readonly path: string;
      readonly sizeBytes: number;
      /** By place in the file, not overlapping. What lies between them, and after them, is zeros. */
      readonly extents: readonly FileExtent[];
    };

/** A piece of a file's data. */
export interface FileExtent {
  /** In the file, in bytes. */
  readonly at: number;
  /** In the file system, in bytes; cut to the file's length. */
  readonly data: Region;
}

const MAX_ENTRIES = 1_000_000;
/** Of all files together: one list of extents may be that of many. */
const MAX_EXTENTS = 4_000_000;
const MAX_PATH_BYTES = 4096;
const MAX_FILE_BYTES = 2 ** 53 - 1;
const SELF_AND_PARENT = new Set([".", ".."]);

/**
 * All files, folders and links, each folder before what is in it, in the order of the metadata; `/` itself is not.
 *
 * @param sizeBytes of the file system.
 * @throws GevulotError `TFS_INVALID`: names that are none, data outside of the file system, folders within themselves.
 */
export function listTfs(root: TfsTuple, sizeBytes: number): TfsEntry[] {
  const entries: TfsEntry[] = [];
  /** Folders that are being looked at, from the root down. */
  const open = new Set<TfsTuple>();
  let extents = 0;
  let storedBytes = 0;
  const walk = (folder: TfsTuple, path: string): void => {
    if (open.has(folder)) throw tfsInvalid(`the folder ${path} holds itself`);
    open.add(folder);
    const children = folder.get("children");
    if (children !== undefined && !isTuple(children)) throw tfsInvalid(`${path || "/"} is no folder`);
    for (const [name, node] of children ?? []) {
      if (SELF_AND_PARENT.has(name)) continue;
      if (name === "" || /[/\0]/.test(name)) throw tfsInvalid(`there is a file with the name "${name}"`);
      const here = `${path}/${name}`;
      if (here.length > MAX_PATH_BYTES) throw tfsInvalid("a path in it is too long");
      if (entries.length >= MAX_ENTRIES) throw tfsInvalid(`it has more than ${MAX_ENTRIES} files`);
      if (!isTuple(node)) throw tfsInvalid(`${here} is neither file, folder nor link`);
      const list = node.get("extents");
      extents += isTuple(list) ? list.size : 0;
      if (extents > MAX_EXTENTS) throw tfsInvalid(`its files have more than ${MAX_EXTENTS} extents`);
      const entry = readNode(node, here, sizeBytes);
      entries.push(entry);
      storedBytes +=
        entry.kind === "file" ? entry.extents.reduce((sum, { data }) => sum + data.length, 0) : 0;
      if (storedBytes > sizeBytes)
        throw tfsInvalid("its files share data, or hold more than it has room for");
      if (entry.kind === "directory") walk(node, here);
    }
    open.delete(folder);
  };
  walk(root, "");
  return entries;
}

function readNode(node: TfsTuple, path: string, sizeBytes: number): TfsEntry {
  if (node.has("children")) return { kind: "directory", path };
  const target = node.get("linktarget");
  if (typeof target === "string") return { kind: "link", path, target };
  const extents = node.get("extents");
  const length = count(node.get("filelength") ?? "0", `${path}: filelength`);
  // Sockets and the like have neither.
  if (extents === undefined) return { kind: "file", path, sizeBytes: length, extents: [] };
  if (!isTuple(extents)) throw tfsInvalid(`${path}: its extents are not understood`);
  const found: FileExtent[] = [];
  for (const [start, extent] of extents) {
    if (!isTuple(extent)) throw tfsInvalid(`${path}: an extent is not understood`);
    // Room that was set aside and never written.
    if (extent.has("uninited")) continue;
    const at = count(start, `${path}: an extent`) * SECTOR_BYTES;
    const offset = count(extent.get("offset"), `${path}: offset`) * SECTOR_BYTES;
    const bytes = count(extent.get("length"), `${path}: length`) * SECTOR_BYTES;
    if (offset + bytes > sizeBytes) throw tfsInvalid(`${path}: its data lie outside of the file system`);
    const used = Math.min(bytes, length - at);
    if (used > 0) found.push({ at, data: { offset, length: used } });
  }
  found.sort((a, b) => a.at - b.at);
  found.forEach((one, index) => {
    const next = found[index + 1];
    if (next && one.at + one.data.length > next.at) throw tfsInvalid(`${path}: its extents overlap`);
  });
  return { kind: "file", path, sizeBytes: length, extents: found };
}

/** Written as text, by a running guest also as an integer. */
function count(value: TfsValue | undefined, name: string): number {
  const number =
    typeof value === "bigint" || (typeof value === "string" && /^\d{1,16}$/.test(value))
      ? Number(value)
      : Number.NaN;
  if (!(number <= MAX_FILE_BYTES)) throw tfsInvalid(`${name} is no number`);
  return number;
}
