import { constants } from "node:fs";
import { chmod, copyFile, lstat, mkdir, readlink, rm, stat, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { GevulotError } from "gevulot-sdk";
import type { ImageProgram } from "./descriptor.ts";
import type { Library } from "./elfLibraries.ts";
import { ARGS_FILE, ARGS_PLACE, quoteForShell as quote } from "./execProgram.ts";
import { findGpuModules } from "./gpu/gpuModules.ts";
import { DEFAULT_WORKSPACE } from "./manifestMounts.ts";
import type { ProgramFile } from "./programFiles.ts";
import { resolveInRoot } from "./rootedPath.ts";

/** Node.js in every image that needs it. */
export const NODE_PATH = "/usr/bin/node";
/** Where the image says how to start its program; sourced by the guest's init. */
export const RUN_FILE = "/.gevulot/run";
/** The program's own paths, one a line, relative, a folder standing for all in it: what a host process needs of the image. */
export const FILE_LIST = "/.gevulot/files";

export interface RootTree {
  readonly program: ImageProgram;
  /** A bundle, or an ELF's bytes; missing where the program is in the folder already, with a system of its own. */
  readonly programData?: Uint8Array | undefined;
  readonly files: readonly ProgramFile[];
  /** Node.js with its libraries, or the program's libraries. */
  readonly runtime: readonly Library[];
  /** The modules in the image are for one kernel. */
  readonly kernelVersion: string;
  /** Given to Node.js before the program. */
  readonly nodeFlags: readonly string[];
}

/** Where the machine mounts file systems of its own: what is there, or where a link would lead, is not seen. */
const MOUNT_POINTS = ["/dev", "/proc", "/sys", "/tmp"];
const FOLDERS = ["/etc", "/root"];
const SYSTEM_FILES: Readonly<Record<string, string>> = {
  "/etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
  "/etc/group": "root:x:0:\n",
  "/etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
  "/etc/hostname": "gevulot\n",
};
const TEXT_MODE = 0o644;
/** The manifest's own come after these. HOME and PATH because Linux programs expect them. */
const BASE_ENV: Readonly<Record<string, string>> = {
  USER: "root",
  PWD: "/",
  HOME: "/root",
  PATH: "/usr/local/bin:/usr/bin:/bin",
};

/**
 * MiB for Node's heap: all but what Node.js and the system need. Its own choice, half of the memory and 4 GiB at
 * most, is for machines with more than one program.
 */
const HEAP = [
  "read -r _ kib _ </proc/meminfo",
  "heap=$((kib / 2048))",
  "[ $((kib / 1024 - 160)) -le $heap ] || heap=$((kib / 1024 - 160))",
];

/** Puts the guest's root file system together in a folder. Modes don't depend on the umask. */
export async function writeRootTree(folder: string, tree: RootTree): Promise<void> {
  const { program } = tree;
  const mountPoints = [program.workspace, ...(program.volumes ?? []).map(({ path }) => path)];
  const isOwnSystem = tree.programData === undefined;
  for (const path of MOUNT_POINTS) {
    if (isOwnSystem && (await isLink(join(folder, path)))) await rm(join(folder, path));
    await makeFolder(folder, path);
  }
  for (const path of FOLDERS) if (!(await leadsToFolder(folder, path))) await makeFolder(folder, path);
  for (const path of [...mountPoints, ...(program.cwd === undefined ? [] : [program.cwd])])
    await makeFolder(folder, path);
  for (const [path, text] of Object.entries(SYSTEM_FILES)) {
    if (!isOwnSystem || !(await lstat(join(folder, path)).catch(() => null)))
      await writeNew(folder, path, text, TEXT_MODE);
  }
  for (const { path, source } of tree.runtime) await copy(folder, source, path);
  for (const file of tree.files) await addFile(folder, file);
  if (tree.programData !== undefined) {
    await writeNew(folder, program.path, tree.programData, 0o755);
  }
  const paths = listOwnPaths(tree).map((path) => `${path.slice(1)}\n`);
  await writeNew(folder, FILE_LIST, paths.join(""), TEXT_MODE);
  const run = runFile(program, tree.nodeFlags, await findGpuModules(folder, tree.kernelVersion));
  await writeNew(folder, RUN_FILE, run, TEXT_MODE);
}

/** What is inside a folder of the list is not listed. */
function listOwnPaths({ program, files }: RootTree): string[] {
  const folders = new Set(files.filter((file) => file.kind === "directory").map((file) => file.path));
  const isCovered = (path: string): boolean => {
    const parent = dirname(path);
    return parent !== "/" && (folders.has(parent) || isCovered(parent));
  };
  const paths = new Set([program.path, ...files.map((file) => file.path)]);
  return [...paths].filter((path) => !isCovered(path));
}

/**
 * Shell text that sets `workspace`, `writable`, `exec` (empty, `stdout` or `file`: where a program that knows nothing of
 * tasks leaves its proof), `modules` (of the GPU) and the function `start`, which runs the program in `$root`.
 */
export function runFile(
  program: ImageProgram,
  nodeFlags: readonly string[] = [],
  gpuModules: readonly string[] = [],
): string {
  const { exec, cwd } = program;
  const env = {
    ...BASE_ENV,
    ...(cwd === undefined ? {} : { PWD: cwd }),
    // A shim that finds its task elsewhere than where all others do.
    ...(program.workspace === DEFAULT_WORKSPACE ? {} : { GEVULOT_WORKSPACE: program.workspace }),
    ...program.env,
    ...(exec && { GEVULOT_WORKSPACE: program.workspace }),
  };
  const isSized = program.kind === "elf" || /max.old.space.size/.test(program.env.NODE_OPTIONS ?? "");
  const command = [
    ...(program.kind === "js" ? [NODE_PATH, ...nodeFlags].map(quote) : []),
    ...(isSized ? [] : ['"--max-old-space-size=$heap"']),
    quote(program.path),
    '"$@"',
  ];
  const args = exec ? program.args.filter((arg) => arg !== ARGS_PLACE) : program.args;
  const enter = cwd === undefined ? '/bin/chroot "$root"' : `/bin/nsenter -r"$root" -w"$root"${quote(cwd)}`;
  return [
    `workspace=${quote(program.workspace)}`,
    `writable=${program.readonlyRootfs ? "" : "yes"}`,
    `exec=${exec ? (exec.proofFile === undefined ? "stdout" : "file") : ""}`,
    `modules=${quote(gpuModules.join(" "))}`,
    "start() {",
    "unset TERM BOOT_IMAGE initrd SHLVL OLDPWD",
    ...(isSized ? [] : HEAP),
    `set -- ${args.map(quote).join(" ")}`,
    // The task's arguments, as the host joined them with the image's.
    ...(exec ? [`given=$root$workspace/${ARGS_FILE}`, '[ ! -r "$given" ] || . "$given"'] : []),
    // Put together before the environment is set, whose names may be those of our variables.
    `set -- -o /status -f %x ${enter} ${command.join(" ")}`,
    ...Object.entries(env).map(([key, value]) => `export ${key}=${quote(value)}`),
    // The tools of init are found by their paths: PATH is the program's by now.
    'exec /bin/time "$@"',
    "}",
    "",
  ].join("\n");
}

async function addFile(folder: string, file: ProgramFile): Promise<void> {
  if (file.kind === "directory") return makeFolder(folder, file.path);
  if (file.kind === "file") return copy(folder, file.source, file.path);
  await symlink(await readlink(file.source), await clearPlace(folder, file.path));
}

async function copy(folder: string, source: string, path: string): Promise<void> {
  const target = await clearPlace(folder, path);
  await copyFile(source, target, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
  const { mode } = await stat(source);
  await chmod(target, mode & 0o111 ? 0o755 : 0o644);
}

async function writeNew(
  folder: string,
  path: string,
  data: string | Uint8Array,
  mode: number,
): Promise<void> {
  const target = await clearPlace(folder, path);
  await writeFile(target, data, { flag: "wx" });
  await chmod(target, mode);
}

/** Makes room for a file: one that is there is replaced, and a link is not followed, wherever it leads. */
async function clearPlace(folder: string, path: string): Promise<string> {
  await makeFolder(folder, dirname(path));
  const target = join(folder, path);
  const found = await lstat(target).catch(() => null);
  if (found?.isDirectory()) throw wrongKind(path, `a folder of the image is there; give it another name`);
  if (found !== null) await rm(target);
  return target;
}

async function isLink(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => null))?.isSymbolicLink() === true;
}

/** Also by links, within the root. */
async function leadsToFolder(root: string, path: string): Promise<boolean> {
  const found = await resolveInRoot(root, path);
  return found !== null && (await lstat(found.source)).isDirectory();
}

async function makeFolder(folder: string, path: string): Promise<void> {
  let current = folder;
  for (const part of path.split("/").filter(Boolean)) {
    current = join(current, part);
    const isNew = await mkdir(current).then(
      () => true,
      async (error: NodeJS.ErrnoException) => {
        // A link among the program's files must not lead out of the folder that is being filled.
        if (error.code !== "EEXIST" || !(await lstat(current)).isDirectory()) throw notAFolder(path, part);
        return false;
      },
    );
    if (isNew) await chmod(current, 0o755);
  }
}

function notAFolder(path: string, part: string): GevulotError {
  return wrongKind(path, `"${part}" in it is a file or a link of the image, and not a folder`);
}

function wrongKind(path: string, reason: string): GevulotError {
  return new GevulotError("MANIFEST_FILE", `${path} can't be put into the image: ${reason}.`, {
    context: { key: "Files", path, reason },
  });
}
