import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** What the programs' images take from the set-up; the manifests name these files. */
export interface CircuitFiles {
  /** Absolute. Holds preimage.wasm, preimage.zkey, verification_key.json, bn128.wasm and bn128.json. */
  readonly dir: string;
  /** Whether it was there from an earlier run. */
  readonly cached: boolean;
}

export interface SetupOptions {
  /** The folder `groth16` in it is used; default: `GEVULOT_CACHE_DIR`, else `.cache` at the repository's root. */
  readonly cacheDir?: string;
  readonly onProgress?: (step: string) => void;
  readonly signal?: AbortSignal;
}

const here = dirname(fileURLToPath(import.meta.url));
const CIRCUIT = join(here, "circuit/preimage.circom");
const CEREMONY = join(here, "ceremony.mjs");
const PACKAGES = ["circom2", "circomlib", "snarkjs", "wasmcurves", "wasmbuilder"];
/** It takes 5 s here. */
const DEADLINE_MS = 300_000;
/** Longer than any set-up lasts. */
const ABANDONED_MS = 2 * DEADLINE_MS;
const MAKING = ".making-";
const MAX_LOG_CHARS = 16_384;

/**
 * Compiles the circuit and makes its keys, once for each version of circuit and tools; later calls find them in the
 * cache. Two at once don't disturb each other.
 */
export async function setupCircuit(options: SetupOptions = {}): Promise<CircuitFiles> {
  const cacheDir = options.cacheDir ?? process.env.GEVULOT_CACHE_DIR ?? join(here, "../../.cache");
  const parent = join(cacheDir, "groth16");
  const dir = join(parent, cacheKey());
  if (existsSync(dir)) return { dir, cached: true };
  mkdirSync(parent, { recursive: true });
  removeAbandoned(parent);
  const work = mkdtempSync(join(parent, MAKING));
  try {
    copyFileSync(CIRCUIT, join(work, "preimage.circom"));
    await holdCeremony(work, options);
    moveInto(work, dir);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return { dir, cached: false };
}

/** What a process left that was killed in the middle. */
function removeAbandoned(parent: string): void {
  for (const name of readdirSync(parent).filter((each) => each.startsWith(MAKING))) {
    const path = join(parent, name);
    const made = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
    if (Date.now() - made > ABANDONED_MS) rmSync(path, { recursive: true, force: true });
  }
}

/** The folder appears whole or not at all. Where another process was faster, its keys are as good as ours. */
function moveInto(work: string, dir: string): void {
  try {
    renameSync(work, dir);
  } catch (error) {
    if (!existsSync(dir)) throw error;
  }
}

function cacheKey(): string {
  const hash = createHash("sha256");
  for (const file of [CIRCUIT, CEREMONY]) hash.update(readFileSync(file)).update("\0");
  for (const name of PACKAGES) hash.update(`${name} ${versionOf(name)}\0`);
  return hash.digest("hex").slice(0, 16);
}

/** Not every package exports its package.json, so it is looked for as Node.js looks for packages. */
function versionOf(name: string): string {
  const places = createRequire(import.meta.url).resolve.paths(name) ?? [];
  const found = places.map((place) => join(place, name, "package.json")).find(existsSync);
  if (found === undefined) throw new Error(`the package ${name} is not installed: run npm install`);
  return (JSON.parse(readFileSync(found, "utf8")) as { version: string }).version;
}

function holdCeremony(dir: string, { onProgress, signal }: SetupOptions): Promise<void> {
  const child = spawn(process.execPath, [CEREMONY], {
    cwd: dir,
    stdio: ["ignore", "pipe", "pipe"],
    timeout: DEADLINE_MS,
    killSignal: "SIGKILL",
    ...(signal === undefined ? {} : { signal }),
  });
  let log = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    for (const line of text.split("\n").filter(Boolean)) onProgress?.(line);
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    log = (log + text).slice(-MAX_LOG_CHARS);
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, killedBy) => {
      if (code === 0) return resolve();
      reject(new Error(`the circuit's set-up ended with ${killedBy ?? `code ${code}`}:\n${log}`));
    });
  });
}
