/** Says what is wrong with a layer. */
export class LayerProblem extends Error {}

export interface FileNode {
  readonly kind: "file";
  readonly layer: number;
  readonly mode: number;
  /** Where the content is kept. */
  readonly blob: string;
}
interface LinkNode {
  readonly kind: "link";
  readonly layer: number;
  readonly target: string;
}
export interface FolderNode {
  readonly kind: "directory";
  layer: number;
  mode: number;
  readonly children: Map<string, TreeNode>;
}
export type TreeNode = FileNode | LinkNode | FolderNode;

/** A root file system as its layers make it; a tree in memory, so that no link of a layer can lead out of it. */
export interface LayerTree {
  readonly root: FolderNode;
  addFolder(path: string, mode: number, layer: number): void;
  addFile(path: string, file: Omit<FileNode, "kind">): void;
  addLink(path: string, target: string, layer: number): void;
  addHardLink(path: string, target: string, layer: number): void;
  /** Whether the name stood for the removal of something of a lower layer, and that is done. */
  whiteOut(path: string, layer: number): boolean;
}

const MAX_LINKS = 40;
const MAX_NODES = 1_000_000;
const MAX_NAME_BYTES = 255;
/** Linux's own, with the NUL. */
const MAX_PATH_BYTES = 4_095;
const DEFAULT_MODE = 0o755;
const WHITEOUT = ".wh.";
const OPAQUE = ".wh..wh..opq";

export function createLayerTree(): LayerTree {
  const root = folder(0, DEFAULT_MODE);
  let nodes = 0;
  const count = (): void => {
    if (++nodes > MAX_NODES) throw new LayerProblem(`it has more than ${MAX_NODES} files`);
  };
  /** The folder that a path is in, made where it is missing, and the path's last part. Links on the way are followed. */
  const place = (path: string, layer: number): [FolderNode, string] => {
    const parts = partsOf(path);
    const name = parts.pop();
    if (name === undefined) throw new LayerProblem("it has a file without a name");
    return [walk(root, parts, layer, count), name];
  };
  const put = (path: string, node: TreeNode): void => {
    count();
    const [parent, name] = place(path, node.layer);
    parent.children.set(name, node);
  };
  return {
    root,
    addFolder(path, mode, layer) {
      if (partsOf(path).length === 0) return;
      const [parent, name] = place(path, layer);
      const there = parent.children.get(name);
      if (there?.kind === "directory") Object.assign(there, { mode, layer });
      else put(path, folder(layer, mode));
    },
    addFile: (path, file) => put(path, { kind: "file", ...file }),
    addLink(path, target, layer) {
      if (target === "") throw new LayerProblem(`the link ${JSON.stringify(path)} leads nowhere`);
      checkLength(target);
      put(path, { kind: "link", target, layer });
    },
    addHardLink(path, target, layer) {
      const [parent, name] = place(target, layer);
      const there = parent.children.get(name);
      if (there === undefined || there.kind === "directory") {
        throw new LayerProblem(`the hard link ${path} leads to ${target}, which is no file of it`);
      }
      put(path, { ...there, layer });
    },
    whiteOut(path, layer) {
      const name = partsOf(path).at(-1) ?? "";
      if (!name.startsWith(WHITEOUT)) return false;
      const [parent] = place(path, layer);
      if (name === OPAQUE) prune(parent, layer);
      else removeLower(parent, name.slice(WHITEOUT.length), layer);
      return true;
    },
  };
}

function folder(layer: number, mode: number): FolderNode {
  return { kind: "directory", layer, mode, children: new Map() };
}

function checkLength(path: string): void {
  if (Buffer.byteLength(path) > MAX_PATH_BYTES)
    throw new LayerProblem(`the path ${JSON.stringify(path.slice(0, MAX_NAME_BYTES))}… is too long`);
}

function partsOf(path: string): string[] {
  checkLength(path);
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  for (const part of parts) {
    if (part === "..") throw new LayerProblem(`the path ${JSON.stringify(path)} leads upwards`);
    // The second is what invalid UTF-8 was read as.
    const isPlain = !/[\0\n\ufffd]/.test(part) && Buffer.byteLength(part) <= MAX_NAME_BYTES;
    if (!isPlain) throw new LayerProblem(`the name ${JSON.stringify(part)} can't be used`);
  }
  return parts;
}

function walk(root: FolderNode, wanted: readonly string[], layer: number, count: () => void): FolderNode {
  const todo = [...wanted];
  const way: FolderNode[] = [root];
  let links = 0;
  for (let part = todo.shift(); part !== undefined; part = todo.shift()) {
    const here = way.at(-1) as FolderNode;
    if (part === "" || part === ".") continue;
    if (part === "..") {
      if (way.length > 1) way.pop();
      continue;
    }
    const next = here.children.get(part);
    if (next?.kind === "link") {
      if (++links > MAX_LINKS)
        throw new LayerProblem(`the links of ${wanted.join("/")} go round in a circle`);
      if (next.target.startsWith("/")) way.length = 1;
      todo.unshift(...next.target.split("/"));
    } else if (next?.kind === "directory") {
      way.push(next);
    } else {
      count();
      const made = folder(layer, DEFAULT_MODE);
      here.children.set(part, made);
      way.push(made);
    }
  }
  return way.at(-1) as FolderNode;
}

function removeLower(parent: FolderNode, name: string, layer: number): void {
  const there = parent.children.get(name);
  if (there === undefined) return;
  if (there.kind === "directory") prune(there, layer);
  // What this layer itself has put there stays.
  const isEmpty = there.kind !== "directory" || there.children.size === 0;
  if (isEmpty && there.layer < layer) parent.children.delete(name);
}

function prune(parent: FolderNode, layer: number): void {
  for (const name of [...parent.children.keys()]) removeLower(parent, name, layer);
}
