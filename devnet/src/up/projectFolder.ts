import { statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

/** Where a project's devnet keeps its state, unless told. */
export const STATE_DIR = ".gevulot/devnet";

/** Names of a project's configuration file, the first that is there counts. */
export const CONFIG_NAMES = ["ts", "mts", "js", "mjs", "json"].map((ending) => `gevulot.config.${ending}`);

/**
 * The folder whose devnet is meant: the nearest one, from here upwards, with a configuration file or a devnet; else
 * this one. What lies directly in `home` belongs to no project, nor does what another user put into a folder above,
 * such as /tmp: a configuration is a program.
 */
export function findProjectFolder(cwd: string, home: string): string {
  const start = resolve(cwd);
  for (let folder = start; ; folder = dirname(folder)) {
    const isProject = [...CONFIG_NAMES, STATE_DIR].some((name) => isOwn(join(folder, name)));
    if (isProject && (folder === start || folder !== resolve(home))) return folder;
    if (folder === dirname(folder)) return start;
  }
}

function isOwn(path: string): boolean {
  try {
    const { uid } = statSync(path);
    return process.getuid === undefined || uid === process.getuid();
  } catch {
    // Not there, or not to be looked at.
    return false;
  }
}
