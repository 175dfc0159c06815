import { access, mkdir, readdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { GevulotError } from "gevulot-sdk";
import { removeTree } from "../removeTree.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    STATE_DIR_FOREIGN: { stateDir: string };
  }
}

/** Marks a folder as a devnet's own: what is in it may be removed. */
const MARKER = ".gevulot-devnet";
const PARTS = /^(postgres|node\d+|keys|machine)$/;

/**
 * Makes a devnet's state folder, or takes the one that is there. A folder with other things in it is left alone.
 * @returns its absolute path
 * @throws GevulotError `STATE_DIR_FOREIGN`
 */
export async function ensureStateDir(path: string): Promise<string> {
  const stateDir = resolve(path);
  await mkdir(stateDir, { recursive: true });
  const entries = await readdir(stateDir);
  if (!entries.includes(MARKER)) {
    if (path === "" || entries.length > 0) throw foreign(stateDir);
    await writeFile(join(stateDir, MARKER), "This folder belongs to gevulot-devnet.\n");
  }
  return stateDir;
}

/** Removes what a devnet knows: databases, files, logs. What it was started with is kept. */
export async function emptyStateDir(stateDir: string): Promise<void> {
  for (const entry of await readdir(stateDir)) {
    if (PARTS.test(entry)) await removeTree(join(stateDir, entry));
  }
}

/** Whether a folder is a devnet's own. */
export async function isStateDir(path: string): Promise<boolean> {
  return access(join(path, MARKER)).then(
    () => true,
    () => false,
  );
}

function foreign(stateDir: string): GevulotError {
  return new GevulotError(
    "STATE_DIR_FOREIGN",
    `${stateDir} is no devnet's folder and holds other things; it was left as it is. Give an empty or a new folder with --state-dir.`,
    { context: { stateDir } },
  );
}
