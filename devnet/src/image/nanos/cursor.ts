import { tfsInvalid } from "./tfsInvalid.ts";

/** Reads bytes in their order, and none beyond their end. */
export interface Cursor {
  /** How many are left. */
  readonly left: number;
  take(count: number): Buffer;
  byte(): number;
  skip(count: number): void;
  /** Base 128, the high group first. @param high what stands before the first group. */
  varint(high?: number): number;
}

export function createCursor(bytes: Buffer): Cursor {
  let at = 0;
  const skip = (count: number): void => {
    if (count > bytes.length - at) throw tfsInvalid("its metadata are cut off");
    at += count;
  };
  const byte = (): number => {
    skip(1);
    return bytes[at - 1] as number;
  };
  return {
    get left() {
      return bytes.length - at;
    },
    take(count) {
      skip(count);
      return bytes.subarray(at - count, at);
    },
    byte,
    skip,
    varint(high = 0) {
      let value = high;
      for (let more = true; more; ) {
        const group = byte();
        value = value * 128 + (group & 0x7f);
        if (value > Number.MAX_SAFE_INTEGER) throw tfsInvalid("a number in its metadata is too large");
        more = (group & 0x80) !== 0;
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
