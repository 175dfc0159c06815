import type { FileHandle } from "node:fs/promises";
import { createLogReader, EXTENT_SECTORS, type LogIdentity, SECTOR_BYTES } from "./log.ts";
import { tfsInvalid } from "./tfsInvalid.ts";
import type { TfsTuple, TfsVersion } from "./tfsValue.ts";
import { createTupleDecoder, type TupleDecoder } from "./tupleDecoder.ts";

/** A part of a file, in bytes. */
export interface Region {
  readonly offset: number;
  readonly length: number;
}

export interface Tfs extends LogIdentity {
  readonly version: TfsVersion;
  readonly root: TfsTuple;
}

/** Of the log. A running guest appends to it, and begins anew when half of it is out of date. */
const MAX_LOG_BYTES = 512 * 2 ** 20;

/**
 * Reads the metadata of a file system; no file's data.
 *
 * @param only as of `createTupleDecoder`.
 * @throws GevulotError `TFS_INVALID`
 */
export async function readTfs(file: FileHandle, region: Region, only?: readonly string[]): Promise<Tfs> {
  let decoder: TupleDecoder | undefined;
  const log = createLogReader((bytes, version) => {
    decoder ??= createTupleDecoder(version, only);
    decoder.push(bytes);
  });
  const seen = new Set<number>();
  let next: { sector: number; sectors: number } | null = { sector: 0, sectors: 1 };
  for (let total = 0; next !== null; ) {
    const { sector, sectors } = next;
    if (seen.has(sector)) throw tfsInvalid("its log leads back to itself");
    seen.add(sector);
    if (sectors < 1 || sectors > EXTENT_SECTORS)
      throw tfsInvalid(`an extent of its log has ${sectors} sectors`);
    total += sectors * SECTOR_BYTES;
    if (total > MAX_LOG_BYTES) throw tfsInvalid(`its log has more than ${MAX_LOG_BYTES} bytes`);
    const place = { offset: sector * SECTOR_BYTES, length: sectors * SECTOR_BYTES };
    next = log.push(await readWithin(file, region, place));
  }
  const root = decoder?.root;
  if (!root || log.identity === null || log.version === null) throw tfsInvalid("it holds no root");
  return { ...log.identity, version: log.version, root };
}

async function readWithin(file: FileHandle, region: Region, { offset, length }: Region): Promise<Buffer> {
  if (offset + length > region.length) throw tfsInvalid("a part of it lies outside of it");
  const bytes = Buffer.alloc(length);
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(bytes, done, length - done, region.offset + offset + done);
    if (bytesRead === 0) throw tfsInvalid("it is cut off");
    done += bytesRead;
  }
  return bytes;
}
