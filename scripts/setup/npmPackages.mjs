import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "./run.mjs";
import { SetupStop } from "./steps.mjs";

/**
 * `npm ci`, if what is installed isn't what the lock file says. Compared package by package with npm's own record of
 * what it installed, so that it doesn't matter who installed it.
 *
 * @param {string} root
 */
export async function npmPackages(root) {
  const difference = await firstDifference(root);
  if (difference === undefined) return { text: "as in package-lock.json", did: false };
  console.log(`npm packages     npm ci: ${difference}`);
  // Install scripts are often blocked; nothing here needs one.
  const { code, output } = await run(["npm", "ci", "--no-audit", "--no-fund"], { cwd: root });
  if (code !== 0) {
    throw new SetupStop(`npm ci failed (exit code ${code}). Its last words:\n${output}`);
  }
  return { text: "installed", did: true };
}

/** As a sentence. @param {string} root @returns {Promise<string | undefined>} */
export async function firstDifference(root) {
  const [lock, installed] = await Promise.all(
    ["package-lock.json", "node_modules/.package-lock.json"].map(async (path) =>
      JSON.parse(await readFile(join(root, path), "utf8").catch(() => "{}")),
    ),
  );
  if (installed.packages === undefined) return "nothing is installed yet";
  for (const [path, wanted] of Object.entries(lock.packages ?? {})) {
    if (!path.includes("node_modules/")) continue;
    const there = installed.packages[path];
    if (wanted.link) {
      if (!existsSync(join(root, path))) return `${path} is missing`;
    } else if (there === undefined) {
      // Of a package for each platform, only this platform's is installed.
      if (!wanted.optional && !wanted.peer) return `${path} is missing`;
    } else if (there.version !== wanted.version || there.integrity !== wanted.integrity) {
      return `${path} is ${there.version}, wanted is ${wanted.version}`;
    } else if (!existsSync(join(root, path))) {
      return `${path} was deleted`;
    }
  }
  return undefined;
}
