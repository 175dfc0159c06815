import { type Cursor, createCursor, encodeVarint } from "./cursor.ts";
import { tfsInvalid } from "./tfsInvalid.ts";
import type { TfsVersion } from "./tfsValue.ts";

export const SECTOR_BYTES = 512;
/** Of each log extent but the first, which has one. */
export const EXTENT_SECTORS = 1024;
export const UUID_BYTES = 16;

const MAGIC = Buffer.from("NVMTFS", "latin1");
const VERSION: TfsVersion = 5;
const RECORD = { end: 1, tuple: 2, more: 3, endOfSegment: 4, link: 5 } as const;
const MAX_VARINT_BYTES = 10;
/** Room that is kept at the end of an extent for the link to the next. */
const LINK_ROOM = 1 + 2 * MAX_VARINT_BYTES;
const TUPLE_HEADER_ROOM = 1 + 2 * MAX_VARINT_BYTES;
/** A segment is only begun where as much of it fits. */
const MIN_SEGMENT_ROOM = TUPLE_HEADER_ROOM + 32;
const MAX_LABEL_BYTES = 255;
/** Of the metadata of one file system; a hundred bytes make a file. */
const MAX_TUPLE_BYTES = 128 * 2 ** 20;

export interface LogExtent {
  /** From the file system's beginning. */
  readonly sector: number;
  readonly bytes: Buffer;
}

export interface LogIdentity {
  readonly uuid: Buffer;
  readonly label: string;
}

/** @throws GevulotError `TFS_INVALID`: the label is too long, or holds a NUL. */
export function encodeLog(
  metadata: Buffer,
  { uuid, label }: LogIdentity,
  /** Where more extents go than the second, which follows the first. */
  freeSector: number,
): { readonly extents: LogExtent[]; readonly endSector: number } {
  const name = Buffer.from(label);
  if (name.length > MAX_LABEL_BYTES || name.includes(0)) {
    throw tfsInvalid(`a label has at most ${MAX_LABEL_BYTES} bytes and no NUL`);
  }
  const bodies: Buffer[][] = [[uuid, name, Buffer.of(0)], []];
  const capacity = EXTENT_SECTORS * SECTOR_BYTES - extentHeader(EXTENT_SECTORS).length;
  let used = 0;
  for (let at = 0; at < metadata.length; ) {
    if (capacity - used < MIN_SEGMENT_ROOM + LINK_ROOM) {
      bodies.push([]);
      used = 0;
    }
    const length = Math.min(metadata.length - at, capacity - used - LINK_ROOM - TUPLE_HEADER_ROOM);
    const head =
      at === 0
        ? [Buffer.of(RECORD.tuple), encodeVarint(metadata.length), encodeVarint(length)]
        : [Buffer.of(RECORD.more), encodeVarint(length)];
    const record = Buffer.concat([...head, metadata.subarray(at, at + length)]);
    bodies.at(-1)?.push(record);
    used += record.length;
    at += length;
  }
  const sectorOf = (index: number) => (index < 2 ? index : freeSector + (index - 2) * EXTENT_SECTORS);
  const extents = bodies.map((body, index) => {
    const next = Buffer.concat([
      Buffer.of(RECORD.link),
      encodeVarint(sectorOf(index + 1)),
      encodeVarint(EXTENT_SECTORS),
    ]);
    const sectors = index === 0 ? 1 : EXTENT_SECTORS;
    const end = index === bodies.length - 1 ? Buffer.of(RECORD.end) : next;
    const bytes = Buffer.alloc(sectors * SECTOR_BYTES);
    Buffer.concat([extentHeader(sectors), ...body, end]).copy(bytes);
    return { sector: sectorOf(index), bytes };
  });
  return { extents, endSector: freeSector + (bodies.length - 2) * EXTENT_SECTORS };
}

function extentHeader(sectors: number): Buffer {
  return Buffer.concat([MAGIC, encodeVarint(VERSION), encodeVarint(sectors)]);
}

export interface LogReader {
  readonly version: TfsVersion | null;
  readonly identity: LogIdentity | null;
  /**
   * Takes the next extent.
   *
   * @returns where the one after it is, or null at the end of the log.
   * @throws GevulotError `TFS_INVALID`
   */
  push(bytes: Buffer): { readonly sector: number; readonly sectors: number } | null;
}

/** @param onTuple is given each tuple of the log, in order. */
export function createLogReader(onTuple: (bytes: Buffer, version: TfsVersion) => void): LogReader {
  let version: TfsVersion | null = null;
  let identity: LogIdentity | null = null;
  /** A tuple that goes on in a later record. */
  let parts: Buffer[] = [];
  let missing = 0;

  const take = (part: Buffer, known: TfsVersion): void => {
    parts.push(part);
    missing -= part.length;
    if (missing > 0) return;
    onTuple(Buffer.concat(parts), known);
    parts = [];
  };
  const push: LogReader["push"] = (bytes) => {
    const input = createCursor(bytes);
    if (!input.take(MAGIC.length).equals(MAGIC)) throw tfsInvalid("an extent of its log has no TFS in it");
    const number = input.varint();
    if (number !== 4 && number !== 5) {
      throw tfsInvalid(`its version is ${number}, and 4 and 5 are known`);
    }
    version ??= number;
    if (version !== number) throw tfsInvalid("its log is of two versions");
    if (input.varint() * SECTOR_BYTES !== bytes.length) {
      throw tfsInvalid("an extent of its log has another length than it was found with");
    }
    identity ??= readIdentity(input);
    for (;;) {
      const record = input.byte();
      if (record === RECORD.end) {
        if (missing > 0) throw tfsInvalid("its log ends within a tuple");
        return null;
      }
      if (record === RECORD.link) return { sector: input.varint(), sectors: input.varint() };
      if (record === RECORD.endOfSegment) continue;
      if (record === RECORD.tuple) {
        if (missing > 0) throw tfsInvalid("a tuple begins within another");
        missing = input.varint();
        if (missing > MAX_TUPLE_BYTES) throw tfsInvalid(`its metadata has ${missing} bytes`);
      } else if (record !== RECORD.more) throw tfsInvalid(`its log has the unknown record ${record}`);
      const length = input.varint();
      if (length > missing) throw tfsInvalid("a part of a tuple is longer than the tuple");
      take(input.take(length), version);
    }
  };
  return {
    get version() {
      return version;
    },
    get identity() {
      return identity;
    },
    push,
  };
}

function readIdentity(input: Cursor): LogIdentity {
  const uuid = Buffer.from(input.take(UUID_BYTES));
  const label: number[] = [];
  for (let byte = input.byte(); byte !== 0; byte = input.byte()) label.push(byte);
  return { uuid, label: Buffer.from(label).toString() };
}
