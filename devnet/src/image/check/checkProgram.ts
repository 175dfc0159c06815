import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, realpath, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { isElf } from "../elf.ts";
import { findLibraries } from "../elfLibraries.ts";
import { ARGS_PLACE, joinArgs } from "../execProgram.ts";
import { extractProgram } from "../extractProgram.ts";
import { openImageFiles } from "../imageFiles.ts";
import { libraryPlaces, splitLibraryPath } from "../libraryPlaces.ts";
import { parseManifest } from "../manifest.ts";
import { listProgramFiles } from "../programFiles.ts";
import { type ProgramRequest, resolveProgram, withOverrides } from "../programRequest.ts";
import { readProgram, SCRIPTS } from "../readProgram.ts";
import { createFolderCheck, GUEST_FOLDERS } from "./folderCheck.ts";
import { findMissing, isLibraryName, type MissingFiles, type MissingOptions } from "./missingFiles.ts";
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
interface Subject
  extends Pick<MissingOptions, "isInImage" | "lackingFolder" | "libraryPath" | "workingDir" | "ownFiles"> {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Its first working folder, in the image. */
  readonly cwd: string | undefined;
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
      workingDir: await firstFolder(subject),
      timeoutMs: options.timeoutMs,
      by: options.by,
      signal: options.signal,
    });
    const { isInImage } = subject;
    const isOurs = (path: string) => path.startsWith(`${scratch}/`) || isInImage(path);
    const missing = findMissing({
      ...subject,
      opened,
      isInImage: isOurs,
      workspaceDir,
      isHere: existsSync,
    });
    const notes = end.exitCode === 0 ? missing.notes : [...missing.notes, INCOMPLETE];
    return { ...end, openedFiles: opened.length, ...missing, notes };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

const INCOMPLETE = "It did not end well: what it would have opened later is not known.";

/** As the image has it, where it is here. */
async function firstFolder({ workingDir, cwd = "/" }: Subject): Promise<string> {
  const folder = join(workingDir, cwd);
  return (await stat(folder).catch(() => null))?.isDirectory() ? folder : workingDir;
}

/** In an image a program's LD_LIBRARY_PATH is its own; here its folders are below another. */
function envHere(
  env: Readonly<Record<string, string>>,
  root: string,
  libraryPath?: string,
): Readonly<Record<string, string>> {
  const own = splitLibraryPath(env.LD_LIBRARY_PATH).flatMap((folder) => [join(root, folder), folder]);
  const all = [...own, ...splitLibraryPath(libraryPath)];
  return all.length === 0 ? env : { ...env, LD_LIBRARY_PATH: all.join(":") };
}

/** `{args}` stands for the task's arguments, for a program that knows nothing of tasks. */
function argsFor(
  own: readonly string[],
  isExec: boolean,
  given: readonly string[] | undefined,
): readonly string[] {
  return isExec && (given === undefined || own.includes(ARGS_PLACE))
    ? joinArgs(own, given ?? [])
    : (given ?? own);
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
  // Whichever its image will be: Nanos takes more.
  const { files } = await listProgramFiles(manifest, workingDir, "nanos");
  const { libraryPath } = options;
  const places = kind === "elf" ? libraryPlaces(manifest, files, { workingDir, libraryPath }) : {};
  const libraries = await findLibraries(runner, places);
  const sources = await Promise.all(files.map((file) => realpath(file.source)));
  const placed = new Set(libraries.flatMap((library) => [library.path, library.source]));
  const known = new Set([
    own,
    runner,
    await realpath(runner),
    ...placed,
    ...files.flatMap((file) => [file.path, file.source]),
    ...sources,
  ]);
  const args = argsFor(manifest.args, manifest.exec !== undefined, options.runArgs);
  const imagePath = manifest.env.LD_LIBRARY_PATH;
  const isBelow = (path: string) => path.startsWith(`${workingDir}/`);
  return {
    command: kind === "elf" ? [own, ...args] : [runner, await bundleIn(scratch, path, data), ...args],
    env: envHere(manifest.env, workingDir, libraryPath),
    workingDir,
    cwd: manifest.cwd,
    isInImage: (file) => known.has(file),
    lackingFolder: await createFolderCheck({
      imagePath,
      libraryPath,
      inImage: (folder) => (isBelow(folder) ? folder.slice(workingDir.length) : folder),
      isPlaced: (file) => placed.has(file),
    }),
    libraryPath: imagePath,
    ownFiles: files.filter(({ source }) => isBelow(source)).map((file) => file.path),
  };
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
  const args = argsFor(found.args, found.exec !== undefined, options.runArgs);
  const isJs = found.kind === "js";
  const merged = (path: string) => path.replace(/^\/usr\/(lib|lib64|bin|sbin)\//, "/$1/");
  // Libraries from elsewhere were put where the image's loader looks.
  const isPlaced = (path: string) => GUEST_FOLDERS.some((folder) => known.has(join(folder, basename(path))));
  const isInImage = (path: string) =>
    known.has(path) ||
    known.has(merged(path)) ||
    (isJs && path === process.execPath) ||
    (isLibraryName(path) && isPlaced(path));
  const env = { ...found.env, ...options.env };
  const libraryPath = env.LD_LIBRARY_PATH;
  return {
    command: isJs ? [process.execPath, found.program, ...args] : [found.program, ...args],
    env: envHere(env, found.dir),
    workingDir: found.dir,
    cwd: found.cwd,
    isInImage,
    lackingFolder: await createFolderCheck({ imagePath: libraryPath, inImage: (folder) => folder, isPlaced }),
    libraryPath,
    ownFiles: [],
  };
}
