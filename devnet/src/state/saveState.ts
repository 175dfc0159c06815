import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join, posix } from "node:path";
import { PART_SUFFIX, UPLOADS_FOLDER } from "../files/uploads.ts";
import { readSoftwareVersion } from "../p2p/softwareVersion.ts";
import { type BlobFolder, createBlobFolder } from "./blobFolder.ts";
import { saveRows } from "./databaseRows.ts";
import { openDatabase } from "./openDatabase.ts";
import type { HostedNode, StateHost } from "./stateHost.ts";
import {
  KEYS_FOLDER,
  MANIFEST_FILE,
  STATE_FOLDERS,
  STATE_VERSION,
  type StateFile,
  type StateManifest,
} from "./stateManifest.ts";

export interface SaveStateOptions {
  /** False: rows alone, for a state that never leaves this devnet, where files stay as they are. */
  readonly withFiles: boolean;
}

/** Writes the state of a devnet into a new folder: rows, files and keys, each content once. It may run meanwhile. */
export async function saveState(
  host: StateHost,
  dir: string,
  { withFiles }: SaveStateOptions,
): Promise<StateManifest> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const blobs = await createBlobFolder(dir);
  // All at once: what one has and another not yet is on its way between them.
  const databases = await Promise.all(host.nodes.map((node) => saveDatabase(node, blobs)));
  const nodes: StateManifest["nodes"] = [];
  for (const [index, node] of host.nodes.entries()) {
    const database = databases[index] as StateManifest["nodes"][number]["database"];
    nodes.push({ name: node.name, database, files: withFiles ? await saveNodeFiles(node, blobs) : [] });
  }
  const keys = withFiles ? await saveFolder(host.stateDir, KEYS_FOLDER, false, blobs) : [];
  const manifest: StateManifest = {
    format: "gevulot-devnet-state",
    version: STATE_VERSION,
    createdAt: new Date().toISOString(),
    createdBy: ownVersion(),
    nodes,
    keys,
    blobs: [...blobs.list()],
  };
  await writeFile(join(dir, MANIFEST_FILE), JSON.stringify(manifest, null, 1), { mode: 0o600 });
  return manifest;
}

async function saveDatabase({ databaseUrl }: HostedNode, blobs: BlobFolder) {
  const client = await openDatabase(databaseUrl);
  try {
    return await saveRows(client, blobs);
  } finally {
    await client.end();
  }
}

async function saveNodeFiles({ dataDir }: HostedNode, blobs: BlobFolder): Promise<StateFile[]> {
  const files: StateFile[] = [];
  for (const { name, isFixed } of STATE_FOLDERS)
    files.push(...(await saveFolder(dataDir, name, isFixed, blobs)));
  return files;
}

/** @returns paths relative to `root` */
async function saveFolder(
  root: string,
  folder: string,
  isFixed: boolean,
  blobs: BlobFolder,
): Promise<StateFile[]> {
  const entries = await readdir(join(root, folder), { recursive: true, withFileTypes: true }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return [];
      throw error;
    },
  );
  const files: StateFile[] = [];
  for (const entry of entries) {
    // An upload that is under way still grows.
    const isArriving = folder === UPLOADS_FOLDER && entry.name.endsWith(PART_SUFFIX);
    if (!entry.isFile() || isArriving) continue;
    const path = join(entry.parentPath, entry.name);
    const blob = await blobs.putFile(path, { isFixed }).catch((error: NodeJS.ErrnoException) => {
      // Removed meanwhile: it was not part of the state any more.
      if (error.code === "ENOENT") return null;
      throw error;
    });
    if (blob !== null)
      files.push({ path: posix.join(folder, path.slice(join(root, folder).length + 1)), blob });
  }
  return files;
}

function ownVersion(): string {
  const { build, major, minor, patch } = readSoftwareVersion();
  return `${build} ${major}.${minor}.${patch}`;
}
