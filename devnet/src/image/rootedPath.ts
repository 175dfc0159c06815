import { lstat, readlink } from "node:fs/promises";
import { join, posix } from "node:path";

const MAX_LINKS = 40;

/**
 * What a path means to a program whose `/` is a folder of this machine: links are followed within it.
 *
 * @returns the path under that root, without links, and the file on this machine; null where there is none.
 */
export async function resolveInRoot(
  root: string,
  path: string,
): Promise<{ readonly path: string; readonly source: string } | null> {
  const todo = path.split("/");
  let at = "/";
  let links = 0;
  for (let part = todo.shift(); part !== undefined; part = todo.shift()) {
    if (part === "" || part === ".") continue;
    const next = posix.join(at, part);
    const found = await lstat(join(root, next)).catch(() => null);
    if (found === null) return null;
    if (part === ".." || !found.isSymbolicLink()) {
      at = next;
      continue;
    }
    if (++links > MAX_LINKS) return null;
    const target = await readlink(join(root, next));
    if (target.startsWith("/")) at = "/";
    todo.unshift(...target.split("/"));
  }
  return { path: at, source: join(root, at) };
}
