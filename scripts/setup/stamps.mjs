import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

/**
 * What was done for which inputs, by the content's hash. Kept in node_modules, so that whoever deletes that
 * begins anew.
 *
 * @param {string} root
 */
export function createStamps(root) {
  const file = join(root, "node_modules", ".cache", "gevulot-setup.json");
  const read = async () => JSON.parse(await readFile(file, "utf8").catch(() => "{}"));
  return {
    /** @param {string} name @param {string} hash */
    async fits(name, hash) {
      return (await read())[name] === hash;
    },
    /** @param {string} name @param {string} hash */
    async set(name, hash) {
      const all = { ...(await read()), [name]: hash };
      await mkdir(dirname(file), { recursive: true });
      await writeFile(`${file}.tmp`, `${JSON.stringify(all, undefined, 2)}\n`);
      await rename(`${file}.tmp`, file);
    },
  };
}

/**
 * One hash over files and folders, by paths and contents. What is missing counts as missing.
 *
 * @param {string} root
 * @param {readonly string[]} paths relative to root
 * @param {(path: string) => boolean} [wanted]
 */
export async function hashOf(root, paths, wanted = () => true) {
  const hash = createHash("sha256");
  for (const path of (await Promise.all(paths.map((each) => filesUnder(root, each)))).flat().sort()) {
    if (!wanted(path)) continue;
    const content = await readFile(join(root, path)).catch(() => "missing");
    hash.update(`${path}\0${content.length}\0`).update(content);
  }
  return hash.digest("hex");
}

/** @param {string} root @param {string} path @returns {Promise<string[]>} */
async function filesUnder(root, path) {
  const entries = await readdir(join(root, path), { withFileTypes: true }).catch(() => undefined);
  if (entries === undefined) return [path];
  const inside = entries
    .filter((entry) => entry.name !== "node_modules" && entry.name !== "dist")
    .map((entry) => `${path}/${entry.name}`);
  return (
    await Promise.all(inside.map((each, at) => (entries[at].isDirectory() ? filesUnder(root, each) : [each])))
  ).flat();
}
