import { GevulotError } from "gevulot-sdk";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    ELF_INVALID: { readonly name: string; readonly reason: string };
  }
}

/** What is needed of an ELF file to copy it with its libraries, or to boot it. */
export interface ElfFile {
  readonly kind: "executable" | "shared";
  /** Path of the loader; missing in a static program and in most libraries. */
  readonly interpreter?: string;
  readonly needed: readonly string[];
  /** As written: may hold `$ORIGIN`. Ignored by the loader where there is a runpath. */
  readonly rpath: readonly string[];
  readonly runpath: readonly string[];
  /** It names libraries that the loader runs before it does anything. */
  readonly hasAudit: boolean;
  /** The kernel's entry for a direct boot (a Xen note of type 18); only a vmlinux has it. */
  readonly hasPvhEntry: boolean;
}

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly length: number;
}

const HEADER_BYTES = 64;
const SEGMENT_BYTES = 56;
const MAX_SEGMENTS = 256;
const MAX_NEEDED = 1000;
const X86_64 = 62;
const PT = { load: 1, dynamic: 2, interp: 3, note: 4 } as const;
const DT = {
  null: 0,
  needed: 1,
  strtab: 5,
  rpath: 15,
  runpath: 29,
  depAudit: 0x6ffffefb,
  audit: 0x6ffffefc,
} as const;
const PVH_NOTE_TYPE = 18;

export function isElf(bytes: Uint8Array): boolean {
  return bytes.length > 4 && bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46;
}

/**
 * Reads a 64-bit little-endian x86-64 ELF file. Every offset in it is checked against the file's length.
 *
 * @param name for messages.
 * @throws GevulotError `ELF_INVALID`
 */
export function parseElf(bytes: Buffer, name: string): ElfFile {
  const invalid = (reason: string) =>
    new GevulotError("ELF_INVALID", `${name} can't be used as a Linux program: ${reason}.`, {
      context: { name, reason },
    });
  if (!isElf(bytes)) throw invalid("it is no ELF file");
  if (bytes.length < HEADER_BYTES) throw invalid("its header is cut off");
  if (bytes[4] !== 2 || bytes[5] !== 1) throw invalid("it is not a 64-bit little-endian ELF file");
  const machine = bytes.readUInt16LE(18);
  if (machine !== X86_64) {
    throw invalid(`it is for another processor (ELF machine ${machine}); build it for x86-64 Linux`);
  }
  const type = bytes.readUInt16LE(16);
  if (type !== 2 && type !== 3) throw invalid(`its type ${type} is neither a program nor a shared object`);
  try {
    const segments = readSegments(bytes);
    const interpreter = segments.find((segment) => segment.type === PT.interp);
    return {
      kind: type === 2 ? "executable" : "shared",
      ...(interpreter ? { interpreter: readText(bytes, interpreter.offset) } : {}),
      ...readDynamic(bytes, segments),
      hasPvhEntry: segments.some((segment) => segment.type === PT.note && holdsPvhNote(bytes, segment)),
    };
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw invalid("it is damaged or cut off");
  }
}

function readSegments(bytes: Buffer): Segment[] {
  const start = toNumber(bytes.readBigUInt64LE(32));
  const size = bytes.readUInt16LE(54);
  const count = bytes.readUInt16LE(56);
  if (count > MAX_SEGMENTS || (count > 0 && size < SEGMENT_BYTES)) throw new RangeError("segments");
  return Array.from({ length: count }, (_, index) => {
    const at = start + index * size;
    return {
      type: bytes.readUInt32LE(at),
      offset: toNumber(bytes.readBigUInt64LE(at + 8)),
      address: toNumber(bytes.readBigUInt64LE(at + 16), false),
      length: toNumber(bytes.readBigUInt64LE(at + 32)),
    };
  });
}

function readDynamic(
  bytes: Buffer,
  segments: readonly Segment[],
): Pick<ElfFile, "needed" | "rpath" | "runpath" | "hasAudit"> {
  const dynamic = segments.find((segment) => segment.type === PT.dynamic);
  const names = { needed: [] as number[], rpath: [] as number[], runpath: [] as number[] };
  let strings = 0;
  let hasAudit = false;
  for (let at = dynamic?.offset ?? 0; dynamic && at < dynamic.offset + dynamic.length; at += 16) {
    const tag = toNumber(bytes.readBigUInt64LE(at), false);
    const value = toNumber(bytes.readBigUInt64LE(at + 8), false);
    if (tag === DT.null) break;
    if (tag === DT.needed) names.needed.push(value);
    if (tag === DT.rpath) names.rpath.push(value);
    if (tag === DT.runpath) names.runpath.push(value);
    if (tag === DT.audit || tag === DT.depAudit) hasAudit = true;
    if (tag === DT.strtab) strings = fileOffset(segments, value);
    if (names.needed.length > MAX_NEEDED) throw new RangeError("libraries");
  }
  const texts = (offsets: readonly number[]) => offsets.map((offset) => readText(bytes, strings + offset));
  const paths = (offsets: readonly number[]) =>
    texts(offsets).flatMap((text) => text.split(":").filter(Boolean));
  const [rpath, runpath] = [paths(names.rpath), paths(names.runpath)];
  return { needed: texts(names.needed), rpath, runpath, hasAudit };
}

function fileOffset(segments: readonly Segment[], address: number): number {
  const segment = segments.find(
    (one) => one.type === PT.load && address >= one.address && address < one.address + one.length,
  );
  if (!segment) throw new RangeError("address");
  return segment.offset + address - segment.address;
}

function holdsPvhNote(bytes: Buffer, segment: Segment): boolean {
  const end = segment.offset + segment.length;
  for (let at = segment.offset; at + 12 <= end; ) {
    const nameBytes = bytes.readUInt32LE(at);
    const descriptionBytes = bytes.readUInt32LE(at + 4);
    const isXen = bytes.toString("latin1", at + 12, at + 16) === "Xen\0";
    if (isXen && bytes.readUInt32LE(at + 8) === PVH_NOTE_TYPE) return true;
    at += 12 + align(nameBytes) + align(descriptionBytes);
  }
  return false;
}

function align(length: number): number {
  return Math.ceil(length / 4) * 4;
}

function readText(bytes: Buffer, at: number): string {
  const end = bytes.indexOf(0, at);
  if (at >= bytes.length || end < 0) throw new RangeError("text");
  return bytes.toString("utf8", at, end);
}

/** Addresses of kernels exceed 2^53; only their equality and order matter, and those are never used for offsets. */
function toNumber(value: bigint, exact = true): number {
  if (exact && value > BigInt(Number.MAX_SAFE_INTEGER)) throw new RangeError("offset");
  return Number(value);
}
