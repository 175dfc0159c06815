import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { isElf } from "../elf.ts";
import { findLibraries } from "../elfLibraries.ts";
import { extractProgram } from "../extractProgram.ts";
import { openImageFiles } from "../imageFiles.ts";
import { parseManifest } from "../manifest.ts";
import { listProgramFiles } from "../programFiles.ts";
import { type ProgramRequest, resolveProgram, withOverrides } from "../programRequest.ts";
import { readProgram, SCRIPTS } from "../readProgram.ts";
import { findMissing, type MissingFiles } from "./missingFiles.ts";
import { type Observation, observeProgram } from "./observeProgram.ts";

export interface CheckProgramOptions extends ProgramRequest {
  /** A program as for `buildImage`, or an image. */
  readonly program: string;
  /** For this run; default the manifest's. */
  readonly runArgs?: readonly string[] | undefined;
  readonly workingDir?: string | undefined;
  /** With a `task.json`, for a program that takes a task. */
  readonly workspaceDir?: string | undefined;
  readonly timeoutMs: number;
  readonly by?: "strace" | "loader" | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ProgramCheck extends MissingFiles, Omit<Observation, "opened"> {
  readonly openedFiles: number;
}

/** How to run it here, and what its image has. */
interface Subject {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly workingDir: string;
  readonly isInImage: (path: string) => boolean;
}

/**
 * Runs a program on this machine, and says which files it opens that its image lacks: what it loads or reads at run time
 * (dlopen, data) can't be seen in its file.
 *
 * @throws GevulotError `OBSERVE_FAILED` and those of `buildImage`
 */
export async function checkProgram(options: CheckProgramOptions): Promise<ProgramCheck> {
  const scratch = await realpath(await mkdtemp(join(tmpdir(), "gevulot-check-")));
  try {
    const isProgram =
      SCRIPTS.some((ending) => options.program.endsWith(ending)) || (await isElfFile(options.program));
    const subject = isProgram ? await ofProgram(options, scratch) : await ofImage(options, scratch);
    const [program = "", ...args] = subject.command;
    const workspaceDir =
      options.workspaceDir === undefined ? undefined : await realpath(options.workspaceDir);
    const { opened, ...end } = await observeProgram({
      program,
      args,
      env: { ...subject.env, ...(workspaceDir === undefined ? {} : { GEVULOT_WORKSPACE: workspaceDir }) },
      workingDir: subject.workingDir,
      timeoutMs: options.timeoutMs,
      by: options.by,
      signal: options.signal,
    });
    const { isInImage, workingDir } = subject;
    const isOurs = (path: string) => path.startsWith(`${scratch}/`) || isInImage(path);
    return {
      ...end,
      openedFiles: opened.length,
      ...findMissing({ opened, isInImage: isOurs, workingDir, workspaceDir }),
    };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function isElfFile(path: string): Promise<boolean> {
  return isElf(await readFile(path).catch(() => Buffer.alloc(0)));
}

async function ofProgram(options: CheckProgramOptions, scratch: string): Promise<Subject> {
  const workingDir = await realpath(options.workingDir ?? ".");
  const manifest = parseManifest(withOverrides(options));
  const path = resolveProgram(options.program, manifest, workingDir);
  const { kind, data } = await readProgram(path);
  const own = await realpath(path);
  const runner = kind === "js" ? process.execPath : own;
  const libraries = await findLibraries(runner, { root: kind === "elf" ? manifest.targetRoot : undefined });
  // Whichever its image will be: Nanos takes more.
  const { files } = await listProgramFiles(manifest, workingDir, "nanos");
  const sources = await Promise.all(files.map((file) => realpath(file.source)));
  const known = new Set([
    own,
    runner,
    await realpath(runner),
    ...libraries.flatMap((library) => [library.path, library.source]),
    ...files.flatMap((file) => [file.path, file.source]),
    ...sources,
  ]);
  const args = options.runArgs ?? manifest.args;
  const command = kind === "elf" ? [own, ...args] : [runner, await bundleIn(scratch, path, data), ...args];
  return { command, env: manifest.env, workingDir, isInImage: (file) => known.has(file) };
}

/** As in the image: what it imports is in it. */
async function bundleIn(scratch: string, path: string, data: Uint8Array): Promise<string> {
  const bundle = join(scratch, `${basename(path)}.mjs`);
  await writeFile(bundle, data);
  return bundle;
}

async function ofImage(options: CheckProgramOptions, scratch: string): Promise<Subject> {
  const { signal } = options;
  const cacheDir = join(scratch, "cache");
  await mkdir(cacheDir);
  const imagePath = resolve(options.program);
  const found = await extractProgram({ imagePath, cacheDir, ...(signal ? { signal } : {}) });
  await using files = await openImageFiles(imagePath, signal);
  const known = new Set(files.entries.map(({ path }) => path));
  const args = options.runArgs ?? found.args;
  const isJs = found.kind === "js";
  const command = isJs ? [process.execPath, found.program, ...args] : [found.program, ...args];
  const merged = (path: string) => path.replace(/^\/usr\/(lib|lib64|bin|sbin)\//, "/$1/");
  const isInImage = (path: string) =>
    known.has(path) || known.has(merged(path)) || (isJs && path === process.execPath);
  return { command, env: { ...found.env, ...options.env }, workingDir: found.dir, isInImage };
}
