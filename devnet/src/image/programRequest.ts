import { existsSync } from "node:fs";
import { basename, posix, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { ImageProgram } from "./descriptor.ts";
import { type Manifest, parseManifest } from "./manifest.ts";
import { unusable } from "./readProgram.ts";

/** A manifest, and what stands beside it on a command line. */
export interface ProgramRequest {
  /** As it came out of JSON. */
  readonly manifest?: unknown;
  /** Instead of the manifest's Args. */
  readonly args?: readonly string[];
  /** Added to the manifest's Env; these win. */
  readonly env?: Readonly<Record<string, string>>;
  /** Added to the manifest's Mounts, by id; these win. */
  readonly mounts?: Readonly<Record<string, string>>;
  /** An LD_LIBRARY_PATH of this machine, on which the program's libraries are looked for, too. */
  readonly libraryPath?: string | undefined;
}

/** So that what overrides is checked like what it overrides. */
export function withOverrides({ manifest = {}, args, env, mounts }: ProgramRequest): unknown {
  const checked = parseManifest(manifest);
  if (args === undefined && env === undefined && mounts === undefined) return manifest;
  const kept = Object.entries(manifest as object).filter(([key]) => !/^(args|env|mounts)$/i.test(key));
  return {
    ...Object.fromEntries(kept),
    Args: args ?? checked.args,
    Env: { ...checked.env, ...env },
    Mounts: { ...checked.mounts, ...mounts },
  };
}

/**
 * As ops, the manifest's Program counts; its name alone means the file of that name that was given with a path.
 *
 * @throws GevulotError `PROGRAM_UNUSABLE`: neither names one.
 */
export function resolveProgram(
  program: string | URL | undefined,
  manifest: Manifest,
  workingDir: string,
): string {
  if (program === undefined) {
    if (manifest.program !== undefined) return resolve(workingDir, manifest.program);
    throw unusable("(none)", "give the program's file, or name it in the manifest's Program");
  }
  const named = program instanceof URL ? fileURLToPath(program) : resolve(program);
  if (manifest.program === undefined || manifest.program === basename(named)) return named;
  if (!existsSync(named))
    throw unusable(named, "it is not there, though the manifest's Program counts instead");
  return resolve(workingDir, manifest.program);
}

/** As ops: the path rooted at `/`. A program from outside the working folder that no manifest names goes to `/` itself. */
export function placeInImage(
  programPath: string,
  kind: ImageProgram["kind"],
  manifest: Manifest,
  workingDir: string,
): string {
  const place = manifest.program === undefined ? insideOf(workingDir, programPath) : rooted(manifest.program);
  return kind === "js" ? place.replace(/\.[^./]+$/, ".mjs") : place;
}

function insideOf(workingDir: string, path: string): string {
  const inside = relative(workingDir, path);
  return `/${inside.startsWith("..") ? basename(path) : inside}`;
}

/** One that was built under `/tmp` would be hidden there by the machine's own. */
function rooted(program: string): string {
  const place = posix.join("/", program);
  return program.startsWith("/tmp/") ? `/${basename(place)}` : place;
}
