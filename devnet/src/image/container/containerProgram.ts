import { open, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { isGevulotError } from "gevulot-sdk";
import { isElf } from "../elf.ts";
import { type FindLibrariesOptions, findLibraries } from "../elfLibraries.ts";
import { splitLibraryPath } from "../libraryPlaces.ts";
import { ENV_NAME, type Manifest } from "../manifest.ts";
import { resolveInRoot } from "../rootedPath.ts";
import { containerInvalid } from "./containerError.ts";
import { type ContainerConfig, openContainer } from "./openContainer.ts";
import { unpackContainer } from "./unpackContainer.ts";

/** What a container starts, the manifest's word counting more. */
export interface ContainerProgram {
  /** In the container, absolute. */
  readonly path: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly notes: readonly string[];
}

export interface ReadContainerOptions {
  readonly container: string;
  readonly manifest: Manifest;
  readonly scratchDir: string;
  /** Gets the root file system; must not exist. */
  readonly outputDir: string;
  readonly signal?: AbortSignal | undefined;
}

const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const MAX_SCRIPT_LINE_BYTES = 256;
/** Where the image itself keeps what its init reads. */
const OURS = ".gevulot";

/**
 * Unpacks a container's root file system, and finds out what it starts: the manifest's Program, or Entrypoint and Cmd.
 *
 * @throws GevulotError `CONTAINER_INVALID`, `LIBRARY_NOT_FOUND`, `ELF_INVALID`
 */
export async function readContainerProgram(options: ReadContainerOptions): Promise<ContainerProgram> {
  const { container, manifest, outputDir } = options;
  const opened = await openContainer(options);
  const leftOut = await unpackContainer(opened, options);
  await rm(join(outputDir, OURS), { recursive: true, force: true });
  const { config } = opened;
  const argv = manifest.program === undefined ? config.argv : [`/${manifest.program}`.replace(/^\/+/, "/")];
  const [name, ...own] = argv;
  if (name === undefined) {
    throw containerInvalid(
      container,
      "it has neither Entrypoint nor Cmd; name its program in the manifest's Program",
    );
  }
  const named = Object.entries(config.env).filter(([key]) => ENV_NAME.test(key));
  const env = { ...Object.fromEntries(named), ...manifest.env };
  const wanted = manifest.cwd ?? config.workingDir;
  // The machine's init would follow links from its own root.
  const cwd = wanted && ((await resolveInRoot(outputDir, wanted))?.path ?? wanted);
  const path = await findProgram(container, outputDir, name, env.PATH ?? DEFAULT_PATH, cwd ?? "/");
  const imagePath = splitLibraryPath(env.LD_LIBRARY_PATH);
  const lack = await checkProgram(container, outputDir, path, { imagePath, signal: options.signal });
  return {
    path,
    args: manifest.args.length > 0 ? manifest.args : own,
    env,
    ...(cwd === undefined ? {} : { cwd }),
    notes: [
      ...userNote(config),
      ...envNote(config),
      ...lack,
      ...(leftOut > 0 ? [`${leftOut} device nodes and pipes are left out.`] : []),
      ...(await temporaryNote(outputDir)),
    ],
  };
}

function envNote({ env }: ContainerConfig): string[] {
  const names = Object.keys(env).filter((name) => !ENV_NAME.test(name));
  if (names.length === 0) return [];
  return [
    `Env's ${names.map((name) => JSON.stringify(name)).join(", ")} is left out: a shell can't set such a name.`,
  ];
}

async function temporaryNote(root: string): Promise<string[]> {
  const folder = await resolveInRoot(root, "/tmp");
  const names = folder === null ? [] : await readdir(folder.source).catch(() => []);
  return names.length === 0 ? [] : ["What is in /tmp is not seen: the machine has an empty /tmp of its own."];
}

function userNote({ user }: ContainerConfig): string[] {
  if (user === undefined || /^(root|0)(:|$)/.test(user)) return [];
  return [`The container's user ${user} means nothing here: the program is alone in its machine, as root.`];
}

async function findProgram(
  container: string,
  root: string,
  name: string,
  searchPath: string,
  cwd: string,
): Promise<string> {
  const places = name.startsWith("/")
    ? [name]
    : name.includes("/")
      ? [join(cwd, name)]
      : searchPath.split(":").map((folder) => join("/", folder, name));
  for (const place of places) {
    if ((await resolveInRoot(root, place)) !== null) return place;
  }
  throw containerInvalid(container, `its program ${name} is not in it (looked for ${places.join(", ")})`);
}

/**
 * Said while the image is made, and not by a virtual machine that starts nothing.
 *
 * @returns a note where libraries lack that its loader may find in ways of its own.
 */
async function checkProgram(
  container: string,
  root: string,
  path: string,
  { imagePath, signal }: { readonly imagePath: readonly string[]; readonly signal: AbortSignal | undefined },
): Promise<string[]> {
  const found = await resolveInRoot(root, path);
  const source = found?.source ?? "";
  const file = await open(source, "r");
  const head = await file
    .read(Buffer.alloc(MAX_SCRIPT_LINE_BYTES), 0, MAX_SCRIPT_LINE_BYTES, 0)
    .then(({ buffer, bytesRead }) => buffer.subarray(0, bytesRead))
    .catch(() => Buffer.alloc(0))
    .finally(() => file.close());
  if (isElf(head)) return await libraryNote(source, { root, imagePath, ...(signal ? { signal } : {}) });
  const interpreter = /^#!\s*(\S+)/.exec(head.toString("latin1"))?.[1];
  if (interpreter === undefined) {
    throw containerInvalid(
      container,
      `its program ${path} is neither an ELF file nor a script with a #! line`,
    );
  }
  if ((await resolveInRoot(root, interpreter)) === null) {
    throw containerInvalid(container, `${interpreter}, which runs its program ${path}, is not in it`);
  }
  return [];
}

async function libraryNote(source: string, options: FindLibrariesOptions): Promise<string[]> {
  try {
    await findLibraries(source, options);
    return [];
  } catch (error) {
    if (!isGevulotError(error, "LIBRARY_NOT_FOUND") || error.context.searched.length === 0) throw error;
    const { library, neededBy, searched } = error.context;
    return [
      `${library}, which ${neededBy} needs, is not in ${searched.join(", ")}: the program may not start.`,
    ];
  }
}
