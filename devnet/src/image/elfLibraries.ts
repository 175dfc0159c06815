import { readFile, realpath } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import { GevulotError } from "gevulot-sdk";
import { type ElfFile, parseElf } from "./elf.ts";
import { readLoaderFolders, readMuslFolders } from "./loaderFolders.ts";
import { createLoaderQuestion } from "./loaderQuestion.ts";
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
  /** The program's LD_LIBRARY_PATH in the image. */
  readonly imagePath?: readonly string[];
  /** That of whoever builds it; and where this machine has what the image has. */
  readonly hostPath?: readonly string[];
  /** Files that are in the image anyway, by their paths there: a library among them is not listed. */
  readonly provided?: ReadonlyMap<string, string>;
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

/** Where all libraries of a program are looked for. */
interface Search extends Required<Pick<FindLibrariesOptions, "imagePath" | "hostPath" | "provided">> {
  readonly folders: LoaderFolders;
  readonly base: string;
  /** What this machine's loader says of a library. */
  readonly ask: (name: string) => Promise<string | undefined>;
}

/**
 * The loader of an ELF program and all shared libraries that it names, directly or not, found as the loader does
 * by reading them; what can't be found so, this machine's loader is asked for, which lists libraries without starting the
 * program. What a program opens later (dlopen) can't be seen and is listed in Files.
 *
 * @throws GevulotError `LIBRARY_NOT_FOUND`, `ELF_INVALID`
 */
export async function findLibraries(program: string, options: FindLibrariesOptions = {}): Promise<Library[]> {
  const { root: base = "/", imagePath = [], hostPath = [], provided = new Map(), signal } = options;
  const root = parseElf(await readFile(program), program);
  const folders = options.folders ?? (await readFoldersOf(root, base));
  const ask = createLoaderQuestion(program, base === "/" ? root : null, signal);
  const search: Search = { folders, base, imagePath, hostPath, provided, ask };
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
    signal?.throwIfAborted();
    for (const name of loader.elf.needed) {
      if (loadedNames.has(name) || isOfLoader(name, root)) continue;
      loadedNames.add(name);
      const { library, elf, origin, isProvided } = await find(name, loader, search);
      if (isLoader(library, root)) continue;
      if (!isProvided) found.set(library.path, library);
      if (name.startsWith("/")) named.add(name);
      queue.push({ source: library.source, origin, elf, inherited: runtimePaths(loader) });
    }
  }
  return placed([...found.values()], folders, named).sort((a, b) => (a.path < b.path ? -1 : 1));
}

function readFoldersOf(program: ElfFile, base: string): Promise<LoaderFolders> {
  return isMusl(program) ? readMuslFolders(base) : readLoaderFolders(undefined, base);
}

function isMusl({ interpreter = "" }: ElfFile): boolean {
  return basename(interpreter).startsWith("ld-musl-");
}

/** musl's loader is the C library, too, under all the names that its parts have elsewhere. */
function isOfLoader(name: string, program: ElfFile): boolean {
  return isMusl(program) && /^lib(c|pthread|rt|m|dl|util|xnet)\./.test(name);
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
  return [...own.flatMap((path) => expanded(path, loader)), ...loader.inherited];
}

/** `$LIB` is what the distribution's loader was built with. */
function expanded(path: string, { origin }: Loaded): string[] {
  const put = (text: string, name: string, value: string) =>
    text.replace(new RegExp(`\\$(${name}\\b|\\{${name}\\})`, "g"), () => value);
  const plain = put(put(path, "ORIGIN", origin), "PLATFORM", "x86_64");
  return [...new Set(LIB.map((lib) => put(plain, "LIB", lib)))];
}

const LIB = ["lib/x86_64-linux-gnu", "lib64", "lib"];

/** A program may also lie outside the root. */
function originOf(source: string, base: string): string {
  const inside = relative(base, dirname(source));
  return inside.startsWith("..") ? dirname(source) : join("/", inside);
}

interface Found {
  readonly library: Library;
  readonly elf: ElfFile;
  readonly origin: string;
  readonly isProvided: boolean;
}

async function find(name: string, loader: Loaded, search: Search): Promise<Found> {
  if (name.includes("/") && !name.startsWith("/")) throw relativeName(name, loader.source);
  const { folders, base, imagePath, hostPath, provided } = search;
  const own = loader.elf.runpath.flatMap((path) => expanded(path, loader));
  // The cache, which holds the configured folders in their order, comes before what is built in.
  const inherited = own.length > 0 ? [] : runtimePaths(loader);
  const searched = name.startsWith("/")
    ? [dirname(name)]
    : [...inherited, ...imagePath, ...hostPath, ...own, ...folders.configured, ...folders.builtIn];
  // There alone the image's loader would look.
  const inImage = new Set(
    searched.filter((one) => !hostPath.includes(one) && !folders.configured.includes(one)),
  );
  for (const folder of searched) {
    const path = join(folder, basename(name));
    const own = inImage.has(folder) ? provided.get(path) : undefined;
    if (own !== undefined) {
      const elf = await readElf(own);
      if (elf) return { library: { path, source: own }, elf, origin: folder, isProvided: true };
    }
    const real = await resolveInRoot(base, path);
    // As the loader: a file of another processor, or a text file of that name, is passed over.
    const elf = real && (await readElf(real.source));
    if (elf) {
      const library = { path, source: real.source };
      return { library, elf, origin: dirname(real.path), isProvided: false };
    }
  }
  const asked = await search.ask(name);
  const elf = asked === undefined ? undefined : await readElf(asked);
  if (asked === undefined || !elf)
    throw notFound(name, underRoot(loader.source, base), [...new Set(searched)]);
  const source = await realpath(asked);
  return { library: { path: asked, source }, elf, origin: dirname(source), isProvided: false };
}

function readElf(path: string): Promise<ElfFile | undefined> {
  return readFile(path)
    .then((bytes) => parseElf(bytes, path))
    .catch(() => undefined);
}

function underRoot(source: string, base: string): string {
  return base === "/" ? source : join(originOf(source, base), basename(source));
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
    "Install the package that has it, name its folder in LD_LIBRARY_PATH, or link the program statically.";
  return new GevulotError("LIBRARY_NOT_FOUND", message, { context: { library, neededBy, searched } });
}
