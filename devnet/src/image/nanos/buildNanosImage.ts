import { randomBytes } from "node:crypto";
import { type FileHandle, mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { GevulotError, isGevulotError } from "gevulot-sdk";
import { checksumFile } from "gevulot-sdk/node";
import { requireFileTarget } from "../../requireFileTarget.ts";
import { encodeRecord } from "../descriptor.ts";
import { parseElf } from "../elf.ts";
import { findLibraries, type Library } from "../elfLibraries.ts";
import { libraryPlaces } from "../libraryPlaces.ts";
import { type Manifest, parseManifest } from "../manifest.ts";
import { listProgramFiles } from "../programFiles.ts";
import { type ProgramRequest, placeInImage, resolveProgram, withOverrides } from "../programRequest.ts";
import { unusable } from "../readProgram.ts";
import { BOOT_BYTES, bootOffset, firstSector } from "./diskLayout.ts";
import { hostFile, newFolder, put, putProgramFile, sorted, textFile } from "./folderTree.ts";
import { findKernelFiles, type KernelFiles, type KernelFilesOptions } from "./kernelFiles.ts";
import { SECTOR_BYTES } from "./log.ts";
import { nanosNotes } from "./nanosNotes.ts";
import { manifestInvalid, rootAttributes } from "./rootTuple.ts";
import type { TfsTuple } from "./tfsValue.ts";
import { type TfsFolder, writeAt, writeTfs } from "./writeTfs.ts";

export interface BuildNanosImageOptions extends ProgramRequest {
  /** An x86-64 Linux program. The manifest's Program overrides it. */
  readonly program?: string | URL | undefined;
  readonly outputPath: string;
  /** Folder under which Program and Files of the manifest are looked up. Default: the current folder. */
  readonly workingDir?: string;
  /** A folder that stands for `/` when libraries and the manifest's files are looked for. */
  readonly targetRoot?: string | undefined;
  /** Where Nanos is; the manifest's Kernel, Boot and KlibDir count where these don't say. */
  readonly kernelFiles: KernelFilesOptions;
  /** Seen by the program as IMAGE_NAME. Default: the output's name. */
  readonly imageName?: string;
  /** Refused, as the manifest's Exec is: it is for Linux. */
  readonly exec?: object;
  readonly onProgress?: (message: string) => void;
  readonly signal?: AbortSignal;
}

export interface BuiltNanosImage {
  readonly format: "nanos";
  readonly path: string;
  readonly sizeBytes: number;
  /** BLAKE3 of the file, as a deployment names it. */
  readonly checksum: string;
  readonly program: { readonly path: string; readonly args: readonly string[] };
  /** Where the task's files appear. */
  readonly workspace: string;
  readonly nanosVersion: string;
  readonly warnings: readonly string[];
  readonly notes: readonly string[];
  /** Paths in the image, the program and its libraries aside. */
  readonly files: readonly string[];
  readonly libraries: readonly string[];
}

const SYSTEM_FILES: Readonly<Record<string, string>> = {
  "/etc/passwd": "root:x:0:0:root:/root:/bin/nobash",
  "/proc/sys/kernel/hostname": "uniboot",
};

const DEFAULT_NAME_SERVERS = ["8.8.8.8"];

const UNITS: Readonly<Record<string, number>> = { "": 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };
/** What a partition table can say. */
const MAX_IMAGE_BYTES = 2 ** 32 * SECTOR_BYTES;

/**
 * Makes a raw, bootable Nanos disk of a Linux program, as ops does (the protocol's packaging page, sections 1 to 3),
 * with the node's share mounted where the manifest has its workspace. Without root and loop devices; memory does not
 * grow with the files; the same inputs make the same bytes. The image takes its name when it is whole.
 *
 * @throws GevulotError `NANOS_KERNEL_NOT_FOUND`, `PROGRAM_UNUSABLE`, `MANIFEST_INVALID`, `MANIFEST_FILE`,
 * `LIBRARY_NOT_FOUND`, `TFS_INVALID` (boot.img), `TFS_TOO_SMALL`
 */
export async function buildNanosImage(options: BuildNanosImageOptions): Promise<BuiltNanosImage> {
  const { signal, onProgress } = options;
  const workingDir = resolve(options.workingDir ?? ".");
  const written = parseManifest(withOverrides(options));
  const { targetRoot = written.targetRoot } = options;
  const manifest: Manifest = { ...written, ...(targetRoot === undefined ? {} : { targetRoot }) };
  if (options.exec ?? manifest.exec)
    throw manifestInvalid("Exec", "it needs Linux, whose init runs the program; leave out --format nanos");
  const kernel = await findKernelFiles(withManifest(options.kernelFiles, manifest, workingDir));
  const programPath = resolveProgram(options.program, manifest, workingDir);
  await checkProgram(programPath);
  const { files, notes: fileNotes } = await listProgramFiles(manifest, workingDir, "nanos");
  const places = libraryPlaces(manifest, files, { workingDir, libraryPath: options.libraryPath });
  const libraries = await findLibraries(programPath, { ...places, ...(signal ? { signal } : {}) });
  const place = placeInImage(programPath, "elf", manifest, workingDir);
  const outputPath = resolve(options.outputPath);
  await requireFileTarget(outputPath);
  const klibs = await findKlibs(manifest, kernel);
  const attributes = rootAttributes(manifest, {
    path: place,
    name: manifest.program ?? place.slice(1),
    imageName: options.imageName ?? basename(outputPath).split(".")[0] ?? "",
    nanosVersion: kernel.version,
  });
  const root = await rootFolder(manifest, { kernel, libraries });
  for (const file of files) await putProgramFile(root, file);
  // After the manifest's files: one of them, or a link, may have its name.
  put(root, place, await hostFile(programPath));

  onProgress?.("writing the disk");
  await mkdir(dirname(outputPath), { recursive: true });
  const temporary = `${outputPath}.tmp-${randomBytes(4).toString("hex")}`;
  try {
    const disk = await open(temporary, "wx+");
    try {
      await writeDisk(disk, { manifest, kernel, klibs: klibs.found, root, attributes, signal });
    } finally {
      await disk.close();
    }
    const checksum = await checksumFile(temporary, signal ? { signal } : {});
    await rename(temporary, outputPath);
    const { warnings, notes } = nanosNotes(manifest);
    return {
      format: "nanos",
      path: outputPath,
      sizeBytes: (await stat(outputPath)).size,
      checksum,
      program: { path: place, args: manifest.args },
      workspace: manifest.workspace,
      nanosVersion: kernel.version,
      warnings: [
        ...warnings,
        ...klibs.missing.map((name) => `Klibs: ${join(kernel.klibDir, name)} is not there.`),
      ],
      notes: [...notes, ...fileNotes],
      files: files.map((file) => file.path),
      libraries: libraries.map((library) => library.path),
    };
  } finally {
    await rm(temporary, { force: true });
  }
}

async function writeDisk(
  disk: FileHandle,
  parts: {
    readonly manifest: Manifest;
    readonly kernel: KernelFiles;
    readonly klibs: readonly string[];
    readonly root: TfsFolder;
    readonly attributes: TfsTuple;
    readonly signal: AbortSignal | undefined;
  },
): Promise<void> {
  const { manifest, kernel, root, attributes, signal } = parts;
  const loader = await readFile(kernel.bootPath);
  const bootRoot = await bootFolder(kernel, parts.klibs);
  const boot = await writeTfs(disk, bootOffset(loader), {
    root: bootRoot,
    sizeBytes: BOOT_BYTES,
    signal,
  }).catch((cause: unknown) => {
    throw isGevulotError(cause, "TFS_TOO_SMALL") ? bootTooSmall(cause) : cause;
  });
  const rootAt = boot.offset + boot.length;
  const written = await writeTfs(disk, rootAt, { root: sorted(root), attributes, signal });
  const record = resourcesRecord(manifest);
  const sizeBytes = Math.max(rootAt + written.length + record.length, baseSize(manifest));
  await finish(disk, loader, [boot, { offset: rootAt, length: sizeBytes - rootAt }]);
  await writeAt(disk, sizeBytes - record.length, record);
}

function bootTooSmall(cause: GevulotError<"TFS_TOO_SMALL">): GevulotError {
  const { neededBytes, sizeBytes } = cause.context;
  const message =
    `The kernel and the manifest's Klibs take ${neededBytes} bytes, and the boot partition has ${sizeBytes}, which is ` +
    "fixed. Name fewer Klibs, or smaller ones.";
  return new GevulotError("TFS_TOO_SMALL", message, { context: cause.context, cause });
}

function withManifest(
  options: KernelFilesOptions,
  { kernel, boot, klibDir }: Manifest,
  workingDir: string,
): KernelFilesOptions {
  const from = (given: string | undefined, own: string | undefined) =>
    given ?? (own === undefined ? undefined : resolve(workingDir, own));
  return {
    ...options,
    kernelPath: from(options.kernelPath, kernel),
    bootPath: from(options.bootPath, boot),
    klibDir: from(options.klibDir, klibDir),
  };
}

async function checkProgram(path: string): Promise<void> {
  const bytes = await readFile(path).catch((cause: NodeJS.ErrnoException) => {
    throw unusable(path, `it can't be read (${cause.code ?? cause.message})`);
  });
  parseElf(bytes, path);
}

async function rootFolder(
  manifest: Manifest,
  parts: { readonly kernel: KernelFiles; readonly libraries: readonly Library[] },
): Promise<TfsFolder> {
  const root = newFolder();
  const servers = manifest.nameServers.length > 0 ? manifest.nameServers : DEFAULT_NAME_SERVERS;
  put(root, "/etc/resolv.conf", textFile(servers.map((server) => `nameserver  ${server}\n`).join("")));
  for (const [path, text] of Object.entries(SYSTEM_FILES)) put(root, path, textFile(text));
  for (const [path, source] of parts.kernel.common) put(root, path, await hostFile(source));
  for (const { path, source } of parts.libraries) put(root, path, await hostFile(source));
  for (const path of [manifest.workspace, ...manifest.volumes.map((volume) => volume.path)]) {
    put(root, path, newFolder());
  }
  return root;
}

async function bootFolder(kernel: KernelFiles, klibs: readonly string[]): Promise<TfsFolder> {
  const folder = newFolder();
  put(folder, "/kernel", await hostFile(kernel.kernelPath));
  for (const name of klibs) put(folder, `/klib/${name}`, await hostFile(join(kernel.klibDir, name)));
  return folder;
}

/** As ops, one that is not there is only told. */
async function findKlibs(
  manifest: Manifest,
  { klibDir }: KernelFiles,
): Promise<{ readonly found: readonly string[]; readonly missing: readonly string[] }> {
  const found: string[] = [];
  const missing: string[] = [];
  for (const name of [...new Set(manifest.klibs)].sort()) {
    const isThere = !name.includes("/") && (await stat(join(klibDir, name)).catch(() => null))?.isFile();
    (isThere ? found : missing).push(name);
  }
  return { found, missing };
}

/**
 * RunConfig's resources once more, in the last sector of the root partition, which no file takes: who deploys the image finds
 * them without reading its file system. Empty where it asks for nothing.
 */
function resourcesRecord({ runConfig: { resources } }: Manifest): Buffer {
  if (Object.keys(resources).length === 0) return Buffer.alloc(0);
  const sector = Buffer.alloc(SECTOR_BYTES);
  encodeRecord({ resources }).copy(sector);
  return sector;
}

function baseSize({ baseVolumeSize }: Manifest): number {
  if (baseVolumeSize === undefined) return 0;
  const [, number, unit = ""] = /^(\d{1,16})([kmg]?)$/i.exec(baseVolumeSize) ?? [];
  const bytes = Number(number) * (UNITS[unit.toLowerCase()] ?? Number.NaN);
  if (bytes <= MAX_IMAGE_BYTES) return Math.ceil(bytes / SECTOR_BYTES) * SECTOR_BYTES;
  throw manifestInvalid("BaseVolumeSz", "write it as 64m or 2g");
}

async function finish(
  disk: FileHandle,
  loader: Buffer,
  partitions: readonly [{ offset: number; length: number }, { offset: number; length: number }],
): Promise<void> {
  const [, { offset, length }] = partitions;
  await disk.truncate(offset + length);
  await writeAt(disk, 0, loader);
  await writeAt(disk, 0, firstSector(loader, partitions));
}
