import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, extname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { makeWhole } from "./makeWhole.ts";

/** What examples in other languages have in common: `build.sh FOLDER` makes a program and its files, once. */
export interface Example {
  /** Its folder's name. */
  readonly name: string;
  /** Says its version with these arguments, e.g. `["go", "version"]`. */
  readonly tool: readonly [command: string, ...args: string[]];
  /** For whoever lacks the tool. */
  readonly install: string;
}

export interface BuildOptions {
  /** Default: `GEVULOT_CACHE_DIR`, else `.cache` at the repository's root. */
  readonly cacheDir?: string;
  /** Each line that the build says. */
  readonly onProgress?: (line: string) => void;
  readonly signal?: AbortSignal;
}

const here = dirname(fileURLToPath(import.meta.url));
/** Ten minutes on a quiet machine for the largest; many times that on a busy one. */
export const BUILD_DEADLINE_MS = 90 * 60_000;
/** Longer than any build lasts. */
const ABANDONED_MS = 2 * BUILD_DEADLINE_MS;
const MAX_LOG_CHARS = 16_384;
/** What a program is made of, and all of a folder `program`; the rest of an example's folder is the app. */
const PROGRAM = "program";
const SOURCES = [".go", ".mod", ".sum", ".rs", ".toml", ".lock", ".sh"];

/** Why an example can't be built here, or null. */
export function whyNot({ tool, install }: Example): string | null {
  try {
    versionOf(tool);
    return null;
  } catch {
    return `${tool[0]} is not installed: ${install}`;
  }
}

/** The folder of an earlier build of the same sources by the same tool, or null. */
export function findBuild(example: Example, options: BuildOptions = {}): string | null {
  const dir = placeOf(example, options);
  return existsSync(dir) ? dir : null;
}

/** Builds an example, or finds that it was built. Two at once don't disturb each other. */
export async function buildExample(example: Example, options: BuildOptions = {}): Promise<string> {
  const dir = placeOf(example, options);
  if (existsSync(dir)) return dir;
  await makeWhole(dir, ABANDONED_MS, (work) => run(example.name, work, options));
  return dir;
}

function placeOf(example: Example, { cacheDir }: BuildOptions): string {
  const base = cacheDir ?? process.env.GEVULOT_CACHE_DIR ?? join(here, "../.cache");
  return join(base, example.name, keyOf(example));
}

function keyOf({ name, tool }: Example): string {
  const hash = createHash("sha256").update(`${versionOf(tool)}\0`);
  for (const path of sourcesIn(join(here, name))) {
    hash
      .update(`${relative(here, path)}\0`)
      .update(readFileSync(path))
      .update("\0");
  }
  return hash.digest("hex").slice(0, 16);
}

function versionOf([command, ...args]: Example["tool"]): string {
  return execFileSync(command, args, {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
    timeout: 30_000,
  });
}

function sourcesIn(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter(({ name }) => name !== "target" && name !== "node_modules")
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return sourcesIn(path);
      return basename(folder) === PROGRAM || SOURCES.includes(extname(entry.name)) ? [path] : [];
    })
    .sort();
}

function run(name: string, folder: string, { onProgress, signal }: BuildOptions): Promise<void> {
  const child = spawn("sh", [join(here, name, "build.sh"), folder], {
    stdio: ["ignore", "pipe", "pipe"],
    // A group of its own: what the script starts must end with it.
    detached: true,
  });
  const late = AbortSignal.timeout(BUILD_DEADLINE_MS);
  const over = signal === undefined ? late : AbortSignal.any([late, signal]);
  const onOver = () => void (child.pid !== undefined && process.kill(-child.pid, "SIGKILL"));
  over.addEventListener("abort", onOver, { once: true });
  let log = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      log = (log + text).slice(-MAX_LOG_CHARS);
      for (const line of text.split("\n").filter(Boolean)) onProgress?.(line);
    });
  }
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, killedBy) => {
      over.removeEventListener("abort", onOver);
      if (over.aborted) return reject(over.reason);
      if (code === 0) return resolve();
      reject(new Error(`building ${name} ended with ${killedBy ?? `code ${code}`}:\n${log}`));
    });
  });
}
