import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { makeWhole } from "../makeWhole.ts";

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
const MAX_LOG_CHARS = 16_384;

/**
 * Compiles the circuit and makes its keys, once for each version of circuit and tools; later calls find them in the
 * cache. Two at once don't disturb each other.
 */
export async function setupCircuit(options: SetupOptions = {}): Promise<CircuitFiles> {
  const cacheDir = options.cacheDir ?? process.env.GEVULOT_CACHE_DIR ?? join(here, "../../.cache");
  const dir = join(cacheDir, "groth16", cacheKey());
  if (existsSync(dir)) return { dir, cached: true };
  await makeWhole(dir, ABANDONED_MS, async (work) => {
    copyFileSync(CIRCUIT, join(work, "preimage.circom"));
    await holdCeremony(work, options);
  });
  return { dir, cached: false };
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
