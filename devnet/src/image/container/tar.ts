import { type ByteReader, createByteReader } from "./byteReader.ts";

/** What a tar archive holds. Paths are as written: whoever uses them checks them. */
export interface TarEntry {
  readonly kind: "file" | "directory" | "link" | "hardLink" | "other";
  readonly path: string;
  readonly mode: number;
  readonly sizeBytes: number;
  /** Of links. */
  readonly target: string;
  /** The content of a file; what is not read is passed over. */
  readonly body: AsyncIterable<Buffer>;
}

/** Says what is wrong with an archive. */
export class TarProblem extends Error {}

const BLOCK_BYTES = 512;
/** Of names and attributes. */
const MAX_EXTENSION_BYTES = 1024 * 1024;
const KINDS: Readonly<Record<string, TarEntry["kind"]>> = {
  "0": "file",
  "\0": "file",
  "7": "file",
  "1": "hardLink",
  "2": "link",
  "5": "directory",
};

/** Reads a tar archive (ustar, pax, GNU) as it comes. Throws {@link TarProblem}. */
export async function* readTar(source: AsyncIterable<Buffer>): AsyncGenerator<TarEntry> {
  const reader = createByteReader(source);
  let extra: Readonly<Record<string, string>> = {};
  for (;;) {
    const header = await reader.read(BLOCK_BYTES);
    if (header.length === 0 || header.every((byte) => byte === 0)) return;
    if (header.length < BLOCK_BYTES) throw new TarProblem("it is cut off");
    checkSum(header);
    const type = header.toString("latin1", 156, 157);
    const sizeBytes = type === "x" || type === "g" ? number(header, 124, 12) : sizeOf(header, extra);
    if ("xgLK".includes(type)) {
      const found = await readExtension(reader, type, sizeBytes);
      extra = { ...extra, ...found };
      continue;
    }
    if (Object.keys(extra).some((key) => key.startsWith("GNU.sparse")) || type === "S") {
      throw new TarProblem("it has a sparse file, which is not understood; pack it without --sparse");
    }
    const kind = KINDS[type] ?? "other";
    const content = kind === "file" ? sizeBytes : 0;
    const body = createBody(reader, content);
    yield {
      kind,
      path: extra.path ?? nameOf(header),
      mode: number(header, 100, 8) & 0o7777,
      sizeBytes: content,
      target: extra.linkpath ?? text(header, 157, 100),
      body: body.chunks(),
    };
    await body.skip();
    extra = {};
  }
}

function createBody(reader: ByteReader, sizeBytes: number) {
  let done = 0;
  async function* chunks(): AsyncGenerator<Buffer> {
    for await (const chunk of reader.stream(sizeBytes - done)) {
      done += chunk.length;
      yield chunk;
    }
    if (done < sizeBytes) throw new TarProblem("it is cut off");
  }
  return {
    chunks,
    async skip(): Promise<void> {
      for await (const chunk of reader.stream(sizeBytes - done)) done += chunk.length;
      if (done < sizeBytes) throw new TarProblem("it is cut off");
      await reader.read(paddingOf(sizeBytes));
    },
  };
}

async function readExtension(
  reader: ByteReader,
  type: string,
  sizeBytes: number,
): Promise<Record<string, string>> {
  if (sizeBytes > MAX_EXTENSION_BYTES) throw new TarProblem("a name in it is too long");
  const bytes = await reader.read(sizeBytes);
  await reader.read(paddingOf(sizeBytes));
  if (bytes.length < sizeBytes) throw new TarProblem("it is cut off");
  if (type === "L") return { path: untilNul(bytes) };
  if (type === "K") return { linkpath: untilNul(bytes) };
  // Of the whole archive: its names would be nonsense for more than one file.
  return type === "x" ? readPax(bytes) : {};
}

/** Records of `LENGTH key=value\n`, the length being that of the whole record. */
function readPax(bytes: Buffer): Record<string, string> {
  const found: Record<string, string> = {};
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at);
    const length = Number(bytes.toString("latin1", at, Math.max(at, space)));
    if (space < 0 || !Number.isInteger(length) || length <= space - at || at + length > bytes.length) {
      throw new TarProblem("its extended attributes are damaged");
    }
    const record = bytes.toString("utf8", space + 1, at + length - 1);
    const equals = record.indexOf("=");
    if (equals > 0) found[record.slice(0, equals)] = record.slice(equals + 1);
    at += length;
  }
  return found;
}

function sizeOf(header: Buffer, extra: Readonly<Record<string, string>>): number {
  const size = extra.size === undefined ? number(header, 124, 12) : Number(extra.size);
  if (Number.isSafeInteger(size) && size >= 0) return size;
  throw new TarProblem("a size in it is nonsense");
}

function nameOf(header: Buffer): string {
  const name = text(header, 0, 100);
  // GNU's archives have other things there.
  const prefix = header.toString("latin1", 257, 263) === "ustar\0" ? text(header, 345, 155) : "";
  return prefix === "" ? name : `${prefix}/${name}`;
}

/** Octal digits, or, with the first bit set, big-endian. */
function number(header: Buffer, at: number, length: number): number {
  if ((header[at] ?? 0) & 0x80) {
    const value = header.readBigUInt64BE(at + length - 8);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new TarProblem("a number in it is nonsense");
    return Number(value);
  }
  const digits = text(header, at, length).trim();
  if (!/^[0-7]*$/.test(digits)) throw new TarProblem("a number in it is nonsense");
  return Number.parseInt(digits || "0", 8);
}

function checkSum(header: Buffer): void {
  const spaces = 8 * 0x20;
  const sum = header.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 0 : byte), spaces);
  // Written in octal digits, always.
  if (sum !== Number.parseInt(text(header, 148, 8).trim(), 8))
    throw new TarProblem("it is no tar archive, or damaged");
}

function text(bytes: Buffer, at: number, length: number): string {
  return untilNul(bytes.subarray(at, at + length));
}

function untilNul(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString("utf8", 0, end < 0 ? bytes.length : end);
}

function paddingOf(sizeBytes: number): number {
  return (BLOCK_BYTES - (sizeBytes % BLOCK_BYTES)) % BLOCK_BYTES;
}
