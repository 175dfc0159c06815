import { readFile, realpath } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import { GevulotError } from "gevulot-sdk";
import { type ElfFile, parseElf } from "./elf.ts";
import { readLoaderFolders } from "./loaderFolders.ts";
import { resolveInRoot } from "./rootedPath.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    LIBRARY_NOT_FOUND: {
      readonly library: string;
      readonly neededBy: string;
      readonly searched: readonly string[];
    };
  }
}

export interface Library {
  /** Where it goes in the image: the path by which the loader finds it. */
  readonly path: string;
  /** The file on this machine, links followed. */
  readonly source: string;
}

export interface FindLibrariesOptions {
  /** Folders that the loader knows; default: those of this machine. */
  readonly folders?: LoaderFolders;
  /** A folder that stands for `/`: libraries are looked for in it, and not on this machine. */
  readonly root?: string | undefined;
  readonly signal?: AbortSignal;
}

/** The folders in which the loader looks when a file names none. */
export interface LoaderFolders {
  /** Listed in ld.so.conf, in its order: known to the loader only by its cache, which the image does not have. */
  readonly configured: readonly string[];
  /** Built into the loader, in its order. */
  readonly builtIn: readonly string[];
}

interface Loaded {
  readonly source: string;
  /** Its folder, under the root: `$ORIGIN`. */
  readonly origin: string;
  readonly elf: ElfFile;
  /** Run-time paths that it hands on to what it loads. */
  readonly inherited: readonly string[];
}

/**
 * The loader of an ELF program and all shared libraries that it names, directly or not, found as the loader does
 * by reading them; nothing is executed. What a program opens later (dlopen) can't be seen and is listed in Files.
 *
 * @throws GevulotError `LIBRARY_NOT_FOUND`, `ELF_INVALID`
 */
export async function findLibraries(program: string, options: FindLibrariesOptions = {}): Promise<Library[]> {
  const base = options.root ?? "/";
  const folders = options.folders ?? (await readLoaderFolders(undefined, base));
  const root = parseElf(await readFile(program), program);
  const found = new Map<string, Library>();
  const named = new Set<string>();
  const loadedNames = new Set<string>();
  const source = await realpath(program);
  const queue: Loaded[] = [{ source, origin: originOf(source, base), elf: root, inherited: [] }];
  if (root.interpreter !== undefined) {
    const loader = await resolveInRoot(base, root.interpreter);
    if (loader === null) throw notFound(root.interpreter, program, []);
    found.set(root.interpreter, { path: root.interpreter, source: loader.source });
  }
  for (let loader = queue.shift(); loader; loader = queue.shift()) {
    options.signal?.throwIfAborted();
    for (const name of loader.elf.needed) {
      if (loadedNames.has(name)) continue;
      loadedNames.add(name);
      const { library, elf, origin } = await find(name, loader, folders, base);
      if (isLoader(library, root)) continue;
      found.set(library.path, library);
      if (name.startsWith("/")) named.add(name);
      queue.push({ source: library.source, origin, elf, inherited: runtimePaths(loader) });
    }
  }
  return placed([...found.values()], folders, named).sort((a, b) => (a.path < b.path ? -1 : 1));
}

/**
 * Libraries from elsewhere go to a folder that the guest's loader knows by itself: it has no cache, and paths
 * relative to the program (`$ORIGIN`) may differ in the image. Those that are named by their path stay there.
 */
function placed(
  libraries: readonly Library[],
  folders: LoaderFolders,
  named: ReadonlySet<string>,
): Library[] {
  const home = dirname(libraries.find(({ path }) => basename(path) === "libc.so.6")?.path ?? "");
  const fallback = folders.builtIn.includes(home) ? home : (folders.builtIn[0] ?? "/usr/lib");
  const stays = (path: string) =>
    named.has(path) || folders.builtIn.includes(dirname(path)) || basename(path).startsWith("ld-");
  return libraries.map((library) =>
    stays(library.path) ? library : { ...library, path: join(fallback, basename(library.path)) },
  );
}

function isLoader(library: Library, root: ElfFile): boolean {
  return root.interpreter !== undefined && library.path.endsWith(`/${root.interpreter.split("/").pop()}`);
}

function runtimePaths(loader: Loaded): string[] {
  const own = loader.elf.runpath.length > 0 ? [] : loader.elf.rpath;
  return [...own.map((path) => withOrigin(path, loader)), ...loader.inherited];
}

function withOrigin(path: string, { origin }: Loaded): string {
  return path.replace(/\$(ORIGIN|\{ORIGIN\})/g, () => origin);
}

/** A program may also lie outside the root. */
function originOf(source: string, base: string): string {
  const inside = relative(base, dirname(source));
  return inside.startsWith("..") ? dirname(source) : join("/", inside);
}

async function find(
  name: string,
  loader: Loaded,
  folders: LoaderFolders,
  base: string,
): Promise<{ library: Library; elf: ElfFile; origin: string }> {
  if (name.includes("/") && !name.startsWith("/")) throw relativeName(name, loader.source);
  // The cache, which holds the configured folders in their order, comes before what is built in.
  const searched = name.startsWith("/")
    ? [dirname(name)]
    : [
        ...(loader.elf.runpath.length > 0 ? [] : runtimePaths(loader)),
        ...loader.elf.runpath.map((path) => withOrigin(path, loader)),
        ...folders.configured,
        ...folders.builtIn,
      ];
  for (const folder of searched) {
    const path = name.startsWith("/") ? name : join(folder, name);
    const real = await resolveInRoot(base, path);
    if (real === null) continue;
    const elf = await readFile(real.source)
      .then((bytes) => parseElf(bytes, path))
      .catch(() => undefined);
    // As the loader: a file of another processor, or a text file of that name, is passed over.
    if (elf) return { library: { path, source: real.source }, elf, origin: dirname(real.path) };
  }
  throw notFound(name, loader.source, [...new Set(searched)]);
}

/** Where it leads depends on the folder in which the program happens to start. */
function relativeName(library: string, neededBy: string): GevulotError {
  const base = basename(library);
  const message =
    `${neededBy} names the shared library ${library} by a relative path, which leads nowhere in an image. ` +
    `Give the library a name (-Wl,-soname,${base}) and link again, or: patchelf --replace-needed ${library} ${base} ${neededBy}.`;
  return new GevulotError("LIBRARY_NOT_FOUND", message, { context: { library, neededBy, searched: [] } });
}

function notFound(library: string, neededBy: string, searched: readonly string[]): GevulotError {
  const message =
    `The shared library ${library}, needed by ${neededBy}, was not found` +
    `${searched.length > 0 ? ` in ${searched.join(", ")}` : ""}. ` +
    "Install the package that has it, or link the program statically.";
  return new GevulotError("LIBRARY_NOT_FOUND", message, { context: { library, neededBy, searched } });
}
