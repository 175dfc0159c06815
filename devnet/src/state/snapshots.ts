import { mkdir, mkdtemp, readdir, rename, stat } from "node:fs/promises";
import { join } from "node:path";
import { GevulotError } from "gevulot-sdk";
import { removeTree } from "../removeTree.ts";
import { packState, unpackState } from "./archive.ts";
import { withRoom } from "./diskFull.ts";
import { saveState } from "./saveState.ts";
import type { StateHost } from "./stateHost.ts";
import { readManifest, type StateManifest } from "./stateManifest.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    SNAPSHOT_NAME: { name: string };
    SNAPSHOT_EXISTS: { name: string };
    SNAPSHOT_NOT_FOUND: { name: string; known: readonly string[] };
  }
}

/** In a devnet's state folder. */
const SNAPSHOTS_FOLDER = "snapshots";
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
/** A folder that is not whole yet; no snapshot's name begins like this. */
const NEW = ".new-";

export interface SnapshotInfo {
  readonly name: string;
  readonly createdAt: string;
  readonly nodes: number;
  /** Of its contents; images and files take no room of their own while the devnet has them too. */
  readonly bytes: number;
}

/** Keeps the state of a devnet under a name. It may run meanwhile. */
export async function saveSnapshot(
  host: StateHost,
  name: string,
  options: { readonly force: boolean },
): Promise<SnapshotInfo> {
  const path = snapshotPath(host.stateDir, name);
  if (!options.force && (await exists(path))) {
    throw new GevulotError(
      "SNAPSHOT_EXISTS",
      `There is a snapshot ${name} already. Give another name, or --force to replace it.`,
      { context: { name } },
    );
  }
  const manifest = await inNewFolder(host.stateDir, async (dir) => {
    const saved = await saveState(host, dir, { withFiles: true });
    if (options.force) await replaceFolder(dir, path);
    else await rename(dir, path);
    return saved;
  });
  return describe(name, manifest);
}

/** Puts a snapshot in the place of the devnet's state. Throws `SNAPSHOT_NOT_FOUND`. */
export async function loadSnapshot(host: StateHost, name: string): Promise<SnapshotInfo> {
  const path = await requireSnapshot(host.stateDir, name);
  const source = `The snapshot ${name}`;
  const manifest = await readManifest(path, source);
  await withRoom(host.stateDir, () => host.load({ dir: path, manifest, source }));
  return describe(name, manifest);
}

export async function listSnapshots(stateDir: string): Promise<SnapshotInfo[]> {
  const names = await namesIn(stateDir);
  const all = names.map(async (name) => {
    // One of a newer version is shown all the same.
    const manifest = await readManifest(snapshotPath(stateDir, name), name).catch(() => null);
    return manifest ? describe(name, manifest) : { name, createdAt: "", nodes: 0, bytes: 0 };
  });
  return (await Promise.all(all)).sort((a, b) => a.createdAt.localeCompare(b.createdAt));
}

/** Throws `SNAPSHOT_NOT_FOUND`. */
export async function removeSnapshot(stateDir: string, name: string): Promise<void> {
  await removeTree(await requireSnapshot(stateDir, name));
}

/** Writes the state of a devnet into one file. It may run meanwhile. */
export async function exportState(
  host: StateHost,
  file: string,
  options: { readonly force: boolean },
): Promise<StateManifest> {
  return inNewFolder(host.stateDir, async (dir) => {
    const manifest = await saveState(host, dir, { withFiles: true });
    await withRoom(file, () => packState(dir, file, options));
    return manifest;
  });
}

/** Puts what `exportState` wrote in the place of a devnet's state. */
export async function importState(host: StateHost, file: string): Promise<StateManifest> {
  return inNewFolder(host.stateDir, async (dir) => {
    const manifest = await unpackState(file, dir);
    await host.load({ dir, manifest, source: file });
    return manifest;
  });
}

/** Puts the state of a folder in {@link SNAPSHOTS_FOLDER} in the place of the devnet's own. */
export async function loadFolder(host: StateHost, folder: string): Promise<void> {
  const dir = join(host.stateDir, SNAPSHOTS_FOLDER, folder);
  const source = "The state";
  await withRoom(host.stateDir, async () =>
    host.load({ dir, manifest: await readManifest(dir, source), source }),
  );
}

/** A moment of a running devnet's rows, to go back to while it runs. */
export interface Checkpoint extends AsyncDisposable {
  revert(): Promise<void>;
}

/** As a snapshot, without files: those that the rows name stay where they are as long as the devnet runs. */
export async function createCheckpoint(host: StateHost): Promise<Checkpoint> {
  const dir = await newFolder(host.stateDir);
  const remove = () => removeTree(dir);
  try {
    const manifest = await withRoom(host.stateDir, () => saveState(host, dir, { withFiles: false }));
    return {
      revert: () => host.load({ dir, manifest, source: "The checkpoint" }),
      [Symbol.asyncDispose]: remove,
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** What is left in the folder at the end, or after a failure, goes. */
async function inNewFolder<T>(stateDir: string, work: (dir: string) => Promise<T>): Promise<T> {
  const dir = await newFolder(stateDir);
  try {
    return await withRoom(stateDir, () => work(dir));
  } finally {
    await removeTree(dir);
  }
}

async function newFolder(stateDir: string): Promise<string> {
  const folder = join(stateDir, SNAPSHOTS_FOLDER);
  return withRoom(folder, async () => {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    return mkdtemp(join(folder, NEW));
  });
}

/** What was there is removed only when the new one stands in its place. */
async function replaceFolder(from: string, to: string): Promise<void> {
  const aside = `${from}-old`;
  const isThere = await rename(to, aside).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
      return false;
    },
  );
  try {
    await rename(from, to);
  } catch (error) {
    if (isThere) await rename(aside, to);
    throw error;
  }
  await removeTree(aside);
}

function snapshotPath(stateDir: string, name: string): string {
  if (NAME.test(name)) return join(stateDir, SNAPSHOTS_FOLDER, name);
  throw new GevulotError(
    "SNAPSHOT_NAME",
    `"${name}" can't name a snapshot: use up to 64 letters, digits, dots, hyphens and underscores, a letter or digit first.`,
    { context: { name } },
  );
}

async function requireSnapshot(stateDir: string, name: string): Promise<string> {
  const path = snapshotPath(stateDir, name);
  if (await exists(path)) return path;
  const known = await namesIn(stateDir);
  const advice =
    known.length > 0 ? `There are: ${known.join(", ")}.` : "Make one with: gevulot-devnet snapshot save NAME";
  throw new GevulotError("SNAPSHOT_NOT_FOUND", `There is no snapshot ${name}. ${advice}`, {
    context: { name, known },
  });
}

async function namesIn(stateDir: string): Promise<string[]> {
  const names = await readdir(join(stateDir, SNAPSHOTS_FOLDER)).catch(() => []);
  return names.filter((name) => NAME.test(name)).sort();
}

function describe(name: string, { createdAt, nodes, blobs }: StateManifest): SnapshotInfo {
  return { name, createdAt, nodes: nodes.length, bytes: blobs.reduce((sum, { bytes }) => sum + bytes, 0) };
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
