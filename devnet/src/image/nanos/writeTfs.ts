import { createHash, type Hash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { GevulotError } from "gevulot-sdk";
import { encodeTuple } from "./encodeTuple.ts";
import { EXTENT_SECTORS, encodeLog, SECTOR_BYTES, UUID_BYTES } from "./log.ts";
import type { Region } from "./readTfs.ts";
import type { TfsTuple, TfsValue } from "./tfsValue.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    TFS_TOO_SMALL: { readonly neededBytes: number; readonly sizeBytes: number };
    TFS_SOURCE_CHANGED: { readonly path: string };
  }
}

/** A folder to write: its entries by name. */
export interface TfsFolder {
  readonly kind: "directory";
  readonly children: Map<string, TfsNode>;
}

export type TfsNode = TfsFolder | TfsFile | { readonly kind: "link"; readonly target: string };

export interface TfsFile {
  readonly kind: "file";
  /** A path of the host, or the content itself. */
  readonly source: string | Buffer;
  readonly sizeBytes: number;
}

export interface WriteTfsOptions {
  readonly root: TfsFolder;
  /** Of the root tuple, beside its children. */
  readonly attributes?: TfsTuple;
  readonly label?: string;
  /** Default: made of the content, so that the same content makes the same bytes. */
  readonly uuid?: Buffer;
  /** Default: as much as is needed. */
  readonly sizeBytes?: number;
  readonly signal?: AbortSignal | undefined;
}

interface PlacedFile {
  readonly file: TfsFile;
  readonly sector: number;
}

/** The first log extent, and the second after it. */
const FIRST_DATA_SECTOR = 1 + EXTENT_SECTORS;
const CHUNK_BYTES = 2 ** 20;
const ZEROS = Buffer.alloc(CHUNK_BYTES);

/**
 * Writes a file system of version 5 into a file, which must hold zeros there or end there. Data are streamed, and what
 * is zero is left out, so that the file stays sparse.
 *
 * @returns where it lies, and its UUID.
 * @throws GevulotError `TFS_TOO_SMALL`, `TFS_SOURCE_CHANGED`, `TFS_INVALID` (label)
 */
export async function writeTfs(
  disk: FileHandle,
  offset: number,
  options: WriteTfsOptions,
): Promise<Region & { readonly uuid: Buffer }> {
  const { tuple, files, freeSector } = planTfs(options.root, options.attributes);
  const metadata = encodeTuple(tuple);
  const identity = { uuid: options.uuid ?? Buffer.alloc(UUID_BYTES), label: options.label ?? "" };
  // Lengths don't depend on the UUID, and the size must be known before much is written.
  const neededBytes = encodeLog(metadata, identity, freeSector).endSector * SECTOR_BYTES;
  const length = options.sizeBytes ?? neededBytes;
  if (length < neededBytes) throw tooSmall(neededBytes, length);

  const hash = createHash("sha256").update(identity.label).update("\0").update(metadata);
  for (const placed of files) await writeFile(disk, offset, placed, hash, options.signal);
  const uuid = options.uuid ?? hash.digest().subarray(0, UUID_BYTES);
  for (const { sector, bytes } of encodeLog(metadata, { ...identity, uuid }, freeSector).extents) {
    await writeAt(disk, offset + sector * SECTOR_BYTES, bytes);
  }
  if ((await disk.stat()).size < offset + length) await disk.truncate(offset + length);
  return { offset, length, uuid };
}

/** The root tuple of a tree, and where its files' data go: one after another, each in one piece. */
export function planTfs(
  root: TfsFolder,
  attributes: TfsTuple = new Map(),
): { readonly tuple: TfsTuple; readonly files: readonly PlacedFile[]; readonly freeSector: number } {
  const files: PlacedFile[] = [];
  let sector = FIRST_DATA_SECTOR;
  const nodeOf = (node: TfsNode): TfsTuple => {
    if (node.kind === "directory") return tupleOf({ children: childrenOf(node) });
    if (node.kind === "link") return tupleOf({ linktarget: node.target });
    const sectors = Math.ceil(node.sizeBytes / SECTOR_BYTES);
    const extents = new Map<string, TfsValue>();
    if (sectors > 0) {
      files.push({ file: node, sector });
      const count = String(sectors);
      extents.set("0", tupleOf({ length: count, offset: String(sector), allocated: count }));
      sector += sectors;
    }
    return tupleOf({ filelength: String(node.sizeBytes), extents });
  };
  const childrenOf = (folder: TfsFolder): TfsTuple =>
    new Map([...folder.children].map(([name, child]) => [name, nodeOf(child)]));
  const tuple: TfsTuple = new Map<string, TfsValue>([["children", childrenOf(root)], ...attributes]);
  return { tuple, files, freeSector: sector };
}

function tupleOf(fields: Readonly<Record<string, TfsValue>>): TfsTuple {
  return new Map(Object.entries(fields));
}

async function writeFile(
  disk: FileHandle,
  offset: number,
  { file, sector }: PlacedFile,
  hash: Hash,
  signal: AbortSignal | undefined,
): Promise<void> {
  const start = offset + sector * SECTOR_BYTES;
  if (typeof file.source !== "string") {
    hash.update(file.source);
    return writeAt(disk, start, file.source);
  }
  const source = await open(file.source, "r");
  try {
    const buffer = Buffer.alloc(Math.min(CHUNK_BYTES, file.sizeBytes));
    let done = 0;
    for (let isAtEnd = false; !isAtEnd; ) {
      signal?.throwIfAborted();
      const { bytesRead } = await source.read(buffer, 0, buffer.length, done);
      isAtEnd = bytesRead === 0;
      const chunk = buffer.subarray(0, bytesRead);
      if (done + bytesRead > file.sizeBytes) break;
      hash.update(chunk);
      if (!chunk.equals(ZEROS.subarray(0, bytesRead))) await writeAt(disk, start + done, chunk);
      done += bytesRead;
      if (isAtEnd && done === file.sizeBytes) return;
    }
  } finally {
    await source.close();
  }
  const message = `${file.source} changed its size while it was copied into the file system. Try again.`;
  throw new GevulotError("TFS_SOURCE_CHANGED", message, { context: { path: file.source } });
}

export async function writeAt(disk: FileHandle, position: number, bytes: Buffer): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += (await disk.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
  }
}

function tooSmall(neededBytes: number, sizeBytes: number): GevulotError<"TFS_TOO_SMALL"> {
  const message =
    `The file system's content takes ${neededBytes} bytes with its metadata, and it may have ${sizeBytes}. ` +
    "Make it larger, or put less into it.";
  return new GevulotError("TFS_TOO_SMALL", message, { context: { neededBytes, sizeBytes } });
}
