const FIELD = 15;
const VARINT = 0;
const FIXED64 = 1;
const LENGTH_DELIMITED = 2;
const FIXED32 = 5;

/** A request's bytes with every string under number 15 cut out, and the last such string. */
export interface SplitRequest {
  readonly bytes: Uint8Array;
  readonly elfId: string | null;
}

/**
 * One published release of the existing client sends `elf_id` as a string under number 15, which is `single_node`, a
 * varint, today. A decoder that goes by the number alone would read the string's length as the flag and its text as
 * further fields. So they are told apart by wire type before decoding.
 * @returns the bytes as they came where there is no such string, or where they are malformed: the decoder says so better
 */
export function splitFieldFifteen(bytes: Uint8Array): SplitRequest {
  const kept: Uint8Array[] = [];
  let elfId: string | null = null;
  let keptFrom = 0;
  let at = 0;
  while (at < bytes.length) {
    const start = at;
    const tag = readVarint(bytes, at);
    if (!tag) return { bytes, elfId: null };
    const wireType = Number(tag.value & 7n);
    const field = tag.value >> 3n;
    const end = endOfField(bytes, tag.next, wireType);
    if (end === null) return { bytes, elfId: null };
    if (field === BigInt(FIELD) && wireType === LENGTH_DELIMITED) {
      const text = readVarint(bytes, tag.next)!;
      elfId = new TextDecoder().decode(bytes.subarray(text.next, end));
      kept.push(bytes.subarray(keptFrom, start));
      keptFrom = end;
    }
    at = end;
  }
  if (elfId === null) return { bytes, elfId };
  kept.push(bytes.subarray(keptFrom));
  return { bytes: Buffer.concat(kept), elfId };
}

function endOfField(bytes: Uint8Array, at: number, wireType: number): number | null {
  if (wireType === VARINT) return readVarint(bytes, at)?.next ?? null;
  if (wireType === FIXED64) return within(bytes, at + 8);
  if (wireType === FIXED32) return within(bytes, at + 4);
  if (wireType !== LENGTH_DELIMITED) return null;
  const length = readVarint(bytes, at);
  return length && within(bytes, length.next + Number(length.value));
}

function within(bytes: Uint8Array, end: number): number | null {
  return end <= bytes.length ? end : null;
}

function readVarint(bytes: Uint8Array, from: number): { value: bigint; next: number } | null {
  let value = 0n;
  for (let at = from, shift = 0n; at < bytes.length && shift < 70n; at += 1, shift += 7n) {
    value |= BigInt(bytes[at]! & 0x7f) << shift;
    if (bytes[at]! < 0x80) return { value, next: at + 1 };
  }
  return null;
}
