import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { chmod, copyFile, link, mkdir, rename, symlink } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { containerInvalid } from "./containerError.ts";
import { createLayerTree, type FolderNode, LayerProblem, type LayerTree } from "./layerTree.ts";
import { type Container, isZlibError, type OpenContainerOptions, openUnpacked } from "./openContainer.ts";
import { readTar, TarProblem } from "./tar.ts";

const MAX_TOTAL_BYTES = 128 * 2 ** 30;

/**
 * Makes the root file system of a container's layers in a folder that does not exist yet. Nothing outside the folder is
 * touched, whatever the layers say; device nodes and pipes are left out.
 *
 * @returns how many files were left out.
 * @throws GevulotError `CONTAINER_INVALID`
 */
export async function unpackContainer(
  { layers }: Container,
  options: OpenContainerOptions & { readonly outputDir: string },
): Promise<number> {
  const { container, scratchDir, outputDir, signal } = options;
  const blobDir = join(scratchDir, "blobs");
  await mkdir(blobDir);
  const tree = createLayerTree();
  const state = { blobs: 0, bytes: 0, leftOut: 0 };
  for (const [at, layer] of layers.entries()) {
    try {
      const source = await openUnpacked(layer.path, join(scratchDir, "layer.tar"), signal);
      const hash = createHash("sha256");
      await readLayer(tree, hashed(source, hash, signal), { layer: at + 1, blobDir, state });
      if (hash.digest("hex") !== layer.sha256) throw new LayerProblem("its checksum is wrong");
    } catch (cause) {
      signal?.throwIfAborted();
      const isOurs = cause instanceof LayerProblem || cause instanceof TarProblem;
      if (!isOurs && !isZlibError(cause)) throw cause;
      const reason = isOurs ? cause.message : "it is damaged";
      throw containerInvalid(container, `layer ${at + 1} of ${layers.length}: ${reason}`, cause);
    }
  }
  await writeFolder(outputDir, tree.root, new Map());
  return state.leftOut;
}

/** All of it is read, also what follows the archive's end. */
async function* hashed(
  source: AsyncIterable<Buffer>,
  hash: ReturnType<typeof createHash>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer> {
  for await (const chunk of source) {
    signal?.throwIfAborted();
    hash.update(chunk);
    yield chunk;
  }
}

interface LayerContext {
  readonly layer: number;
  readonly blobDir: string;
  readonly state: { blobs: number; bytes: number; leftOut: number };
}

async function readLayer(
  tree: LayerTree,
  source: AsyncGenerator<Buffer>,
  context: LayerContext,
): Promise<void> {
  const { layer, state } = context;
  for await (const entry of readTar(source)) {
    if (tree.whiteOut(entry.path, layer)) continue;
    if (entry.kind === "directory") tree.addFolder(entry.path, entry.mode, layer);
    else if (entry.kind === "link") tree.addLink(entry.path, entry.target, layer);
    else if (entry.kind === "hardLink") tree.addHardLink(entry.path, entry.target, layer);
    else if (entry.kind === "other") state.leftOut++;
    else {
      state.bytes += entry.sizeBytes;
      if (state.bytes > MAX_TOTAL_BYTES)
        throw new LayerProblem(`its files have more than ${MAX_TOTAL_BYTES} bytes`);
      const blob = join(context.blobDir, String(state.blobs++));
      await pipeline(entry.body, createWriteStream(blob));
      tree.addFile(entry.path, { layer, mode: entry.mode, blob });
    }
  }
  for await (const _ of source);
}

/** Each folder is made by us and empty: no link is in the way. Owners and special bits are not kept. */
async function writeFolder(path: string, folder: FolderNode, placed: Map<string, string>): Promise<void> {
  await mkdir(path);
  for (const [name, node] of folder.children) {
    const target = join(path, name);
    if (node.kind === "directory") await writeFolder(target, node, placed);
    else if (node.kind === "link") await symlink(node.target, target);
    else {
      const first = placed.get(node.blob);
      if (first === undefined) await rename(node.blob, target);
      else await linkOrCopy(first, target);
      placed.set(node.blob, target);
      await chmod(target, (node.mode & 0o777) | 0o600);
    }
  }
  await chmod(path, (folder.mode & 0o777) | 0o700);
}

/** Linked, so that many names of a large file take no more than one; a file system allows some tens of thousands. */
async function linkOrCopy(first: string, target: string): Promise<void> {
  await link(first, target).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EMLINK") throw error;
    return copyFile(first, target);
  });
}
