import { readdir, readFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import type { LoaderFolders } from "./elfLibraries.ts";

/** The loaders of Debian and Ubuntu have these four built in; Fedora's and Arch's the last ones. */
const BUILT_IN = [
  "/lib/x86_64-linux-gnu",
  "/usr/lib/x86_64-linux-gnu",
  "/lib64",
  "/usr/lib64",
  "/lib",
  "/usr/lib",
];
const MUSL_BUILT_IN = ["/lib", "/usr/local/lib", "/usr/lib"];
const MUSL_CONFIGURATION = "/etc/ld-musl-x86_64.path";
const CONFIGURATION = "/etc/ld.so.conf";
const MAX_FILES = 200;

/** Reads which folders the loader of this machine, or of a root file system in a folder, knows. */
export async function readLoaderFolders(configuration = CONFIGURATION, root = "/"): Promise<LoaderFolders> {
  const configured: string[] = [];
  const files = [configuration];
  for (let done = 0; done < files.length && done < MAX_FILES; done++) {
    const file = files[done] ?? "";
    for (const line of await linesOf(join(root, file))) {
      const include = /^include\s+(.+)$/.exec(line)?.[1];
      if (include) files.push(...(await expand(root, resolve(dirname(file), include))));
      else configured.push(line);
    }
  }
  return { configured, builtIn: BUILT_IN };
}

/** musl's loader has three folders built in; a file, if there is one, names others instead. */
export async function readMuslFolders(root = "/"): Promise<LoaderFolders> {
  const lines = await linesOf(join(root, MUSL_CONFIGURATION));
  return { configured: lines.flatMap((line) => line.split(":").filter(Boolean)), builtIn: MUSL_BUILT_IN };
}

async function linesOf(file: string): Promise<string[]> {
  const text = await readFile(file, "utf8").catch(() => "");
  return text.split("\n").flatMap((line) => line.replace(/#.*/, "").trim() || []);
}

/** A pattern in the last part of the path only, as every distribution has it. */
async function expand(root: string, pattern: string): Promise<string[]> {
  const parts = basename(pattern)
    .split("*")
    .map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  const wanted = new RegExp(`^${parts.join("[^/]*")}$`);
  const names = await readdir(join(root, dirname(pattern))).catch(() => []);
  return names
    .filter((name) => wanted.test(name))
    .sort()
    .map((name) => join(dirname(pattern), name));
}
