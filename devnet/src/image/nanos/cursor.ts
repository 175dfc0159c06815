import { tfsInvalid } from "./tfsInvalid.ts";

/** Reads bytes in their order, and none beyond their end. */
export interface Cursor {
  /** How many are left. */
  readonly left: number;
  take(count: number): Buffer;
  /** Base 128, the high group first. @param high what stands before the first group. */
  varint(high?: number): number;
}

export function createCursor(bytes: Buffer): Cursor {
  let at = 0;
  const take = (count: number): Buffer => {
    if (count > bytes.length - at) throw tfsInvalid("its metadata are cut off");
    at += count;
    return bytes.subarray(at - count, at);
  };
  return {
    get left() {
      return bytes.length - at;
    },
    take,
    varint(high = 0) {
      let value = high;
      for (let more = true; more; ) {
        const byte = take(1)[0] as number;
        value = value * 128 + (byte & 0x7f);
        if (value > Number.MAX_SAFE_INTEGER) throw tfsInvalid("a number in its metadata is too large");
        more = (byte & 0x80) !== 0;
      }
      return value;
    },
  };
}

/** Base 128, the high group first. */
export function encodeVarint(value: number): Buffer {
  const groups = [value % 128];
  for (let rest = Math.floor(value / 128); rest > 0; rest = Math.floor(rest / 128)) {
    groups.unshift((rest % 128) | 0x80);
  }
  return Buffer.from(groups);
}
