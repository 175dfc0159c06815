import { randomBytes } from "node:crypto";
import { type FileHandle, link, lstat, mkdir, open, readdir, rm, stat, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, join } from "node:path";
import { createStack } from "../../disposeStack.ts";
import { VOLUME_LABEL } from "../../image/manifestMounts.ts";
import { startOf } from "../../processTable.ts";
import { removeTree } from "../../removeTree.ts";
import { makeExt4Volume } from "./makeVolume.ts";
import { volumeCutOff, volumeExists, volumeInvalid, volumeMissing, volumeReadonly } from "./volumeErrors.ts";
import { holdVolume, readHolders, type VolumeHolder } from "./volumeHolds.ts";

/** `linux` is ext4, `nanos` Nanos's own file system, TFS. */
export type VolumeFormat = "linux" | "nanos";

export interface Volume {
  readonly name: string;
  readonly path: string;
  readonly format: VolumeFormat | "damaged";
  /** Whether a node's tasks may write to it. */
  readonly writable: boolean;
  readonly sizeBytes: number;
  /** What it takes of the disk. */
  readonly usedBytes: number;
  readonly holders: readonly VolumeHolder[];
}

/** A volume in use by a VM; disposed of, it is free again. */
export interface HeldVolume extends AsyncDisposable {
  readonly file: FileHandle;
  readonly format: VolumeFormat;
  readonly sizeBytes: number;
}

/** Writes a volume's file; of `makeExt4Volume`'s kind. */
export type VolumeWriter = typeof makeExt4Volume;

export interface CreateVolumeOptions {
  readonly name: string;
  /** Default: as large as the folder needs, or 1 GiB. */
  readonly sizeBytes?: number | undefined;
  readonly contentDir?: string | undefined;
  /** Whether a node's tasks may write to it: those of everybody who may deploy. Default false. */
  readonly writable?: boolean;
  /** Default ext4. */
  readonly write?: VolumeWriter;
  readonly signal?: AbortSignal;
}

export interface HoldVolumeOptions {
  readonly readonly: boolean;
  /** For people, who is told to others. */
  readonly what: string;
  /** It is for somebody else's program, which writes only to what was made for that. Default false. */
  readonly isStrangers?: boolean | undefined;
}

/** Disks with data that programs read or write, kept on this machine between tasks; one file each. */
export interface VolumeStore {
  /** @throws GevulotError `VOLUME_EXISTS`, `VOLUME_INVALID`, `TOOL_NOT_FOUND`, `TOOL_FAILED` */
  create(options: CreateVolumeOptions): Promise<Volume>;
  list(): Promise<Volume[]>;
  /** Who has it now; nobody, where there is none. */
  holders(name: string): Promise<VolumeHolder[]>;
  /** @throws GevulotError `VOLUME_MISSING`, `VOLUME_IN_USE` */
  delete(name: string): Promise<void>;
  /**
   * Takes it for a VM: with many others to read, alone to write.
   * @throws GevulotError `VOLUME_MISSING`, `VOLUME_IN_USE`, `VOLUME_INVALID`
   */
  hold(name: string, options: HoldVolumeOptions): Promise<HeldVolume>;
}

/** Of the user whose node or command it is. */
export const DEFAULT_VOLUMES_DIR = join(homedir(), ".local", "share", "gevulot", "volumes");

const ENDING = ".img";
/** A file of this ending beside a volume: tasks may write to it. */
const WRITABLE_ENDING = ".writable";
const BLOCK_BYTES = 512;
const EXT_MAGIC_AT = 1_080;
/** The journal has what isn't in its place yet (RECOVER, one of the incompatible features). */
const EXT_RECOVER = { at: 1_024 + 0x60, bit: 0x4 };
const TFS_MAGIC = "NVMTFS";

export function createVolumeStore({ folder }: { readonly folder: string }): VolumeStore {
  return {
    create: (options) => create(folder, options),
    async list() {
      const files = await readdir(folder).catch(() => []);
      const names = files.filter((file) => file.endsWith(ENDING)).map((file) => basename(file, ENDING));
      const known = names.filter((name) => VOLUME_LABEL.test(name)).sort();
      return (await Promise.all(known.map((name) => describeAny(folder, name)))).flat();
    },
    holders: (name) => readHolders(holdsOf(folder, checkName(name))),
    async delete(name) {
      await requireVolume(folder, name, "See what there is: gevulot-devnet volume list.");
      const hold = { name, what: "volume delete", access: "remove" } as const;
      const release = await holdVolume(holdsOf(folder, name), hold);
      await setWritable(folder, name, false);
      await rm(pathOf(folder, name), { force: true });
      await release();
      await removeTree(holdsOf(folder, name));
    },
    async hold(name, { readonly: isReadonly, what, isStrangers = false }) {
      // Looked at first, so that holding leaves nothing behind for a volume that isn't there.
      await requireVolume(folder, name);
      if (isStrangers && !isReadonly && !(await isWritable(folder, name))) throw volumeReadonly(name);
      await using stack = createStack();
      const access = isReadonly ? "read" : "write";
      stack.defer(await holdVolume(holdsOf(folder, name), { name, what, access }));
      const file = await openVolume(folder, name, isReadonly ? "r" : "r+");
      stack.defer(() => file.close());
      const { size: sizeBytes } = await file.stat();
      const format = await formatOf(file, name);
      if (isReadonly && format === "linux" && (await isCutOff(file))) throw volumeCutOff(name);
      const held = stack.move();
      return { file, format, sizeBytes, [Symbol.asyncDispose]: () => held[Symbol.asyncDispose]() };
    },
  };
}

async function create(folder: string, options: CreateVolumeOptions): Promise<Volume> {
  const { name, write = makeExt4Volume } = options;
  const path = pathOf(folder, name);
  await mkdir(folder, { recursive: true });
  if (await exists(path)) throw volumeExists(name);
  // It takes its name when it is whole, and never another's.
  await removeAbandoned(folder);
  const owner = `${process.pid}-${startOf(process.pid) ?? ""}`;
  const temporary = join(folder, `.new-${owner}-${randomBytes(6).toString("hex")}`);
  try {
    await write({ ...options, path: temporary, label: name });
    await link(temporary, path).catch((error: NodeJS.ErrnoException) => {
      throw error.code === "EEXIST" ? volumeExists(name) : error;
    });
    await setWritable(folder, name, options.writable ?? false);
  } finally {
    await rm(temporary, { force: true });
  }
  return describe(folder, name);
}

/** What a killed process had begun. */
async function removeAbandoned(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const [, pid, start] = /^\.new-(\d+)-(\d*)-/.exec(name) ?? [];
    if (pid !== undefined && startOf(Number(pid)) !== start) await rm(join(folder, name), { force: true });
  }
}

/** None where it was deleted meanwhile. One that can't be opened must not hide the others. */
async function describeAny(folder: string, name: string): Promise<Volume[]> {
  const path = pathOf(folder, name);
  try {
    return [await describe(folder, name)];
  } catch {
    const isThere = await lstat(path).catch(() => null);
    const none = { writable: false, sizeBytes: 0, usedBytes: 0, holders: [] };
    return isThere === null ? [] : [{ name, path, format: "damaged", ...none }];
  }
}

async function describe(folder: string, name: string): Promise<Volume> {
  const file = await openVolume(folder, name, "r");
  try {
    const { size, blocks } = await file.stat();
    const format = await formatOf(file, name).catch((): "damaged" => "damaged");
    const holders = await readHolders(holdsOf(folder, name));
    const [usedBytes, writable] = [blocks * BLOCK_BYTES, await isWritable(folder, name)];
    return { name, path: pathOf(folder, name), format, writable, sizeBytes: size, usedBytes, holders };
  } finally {
    await file.close();
  }
}

function openVolume(folder: string, name: string, flags: "r" | "r+"): Promise<FileHandle> {
  const path = pathOf(folder, name);
  return open(path, flags).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") throw volumeMissing(name, folder);
    throw volumeInvalid(`The volume ${name} (${path}) can't be opened: ${error.code}.`);
  });
}

async function requireVolume(folder: string, name: string, advice?: string): Promise<void> {
  if (!(await exists(pathOf(folder, name)))) throw volumeMissing(name, folder, advice);
}

function isWritable(folder: string, name: string): Promise<boolean> {
  return exists(join(folder, checkName(name) + WRITABLE_ENDING));
}

function setWritable(folder: string, name: string, isWritable: boolean): Promise<void> {
  const path = join(folder, checkName(name) + WRITABLE_ENDING);
  return isWritable ? writeFile(path, "") : rm(path, { force: true });
}

function pathOf(folder: string, name: string): string {
  return join(folder, checkName(name) + ENDING);
}

function holdsOf(folder: string, name: string): string {
  return join(folder, ".holds", name);
}

function checkName(name: string): string {
  if (VOLUME_LABEL.test(name)) return name;
  throw volumeInvalid(
    `"${name}" is no name of a volume. Take letters, digits, ".", "_" and "-", 63 at most, a letter or digit first.`,
  );
}

async function formatOf(file: FileHandle, name: string): Promise<VolumeFormat> {
  const { buffer: head } = await file.read(Buffer.alloc(EXT_MAGIC_AT + 2), 0, EXT_MAGIC_AT + 2, 0);
  if (head.readUInt16LE(EXT_MAGIC_AT) === 0xef53) return "linux";
  if (head.toString("latin1", 0, TFS_MAGIC.length) === TFS_MAGIC) return "nanos";
  throw volumeInvalid(
    `The volume ${name} is damaged: it holds neither ext4 nor TFS. Delete it and make it again.`,
  );
}

/** Who wrote to it last was stopped. Its guest alone reads the journal, and only where it may write. */
async function isCutOff(file: FileHandle): Promise<boolean> {
  const { buffer } = await file.read(Buffer.alloc(4), 0, 4, EXT_RECOVER.at);
  return (buffer.readUInt32LE() & EXT_RECOVER.bit) !== 0;
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
