import { utf8 } from "../bytes.ts";
import type { Codec } from "./codec.ts";

const U64_BYTES = 8;

export const u8: Codec<number> = {
  minBytes: 1,
  write: (value, to) => to.u8(value),
  read: (from) => from.u8(),
};
export const u16: Codec<number> = {
  minBytes: 2,
  write: (value, to) => to.u16(value),
  read: (from) => from.u16(),
};
export const u32: Codec<number> = {
  minBytes: 4,
  write: (value, to) => to.u32(value),
  read: (from) => from.u32(),
};
export const u64: Codec<bigint> = {
  minBytes: U64_BYTES,
  write: (value, to) => to.u64(value),
  read: (from) => from.u64(),
};

/** A u64 length, then that many bytes. Reading copies. */
export const byteString: Codec<Uint8Array> = {
  minBytes: U64_BYTES,
  write: (value, to) => {
    to.u64(BigInt(value.length));
    to.bytes(value);
  },
  read: (from) => from.take(from.count(1)).slice(),
};

/** A u64 length, then UTF-8. */
export const string: Codec<string> = {
  minBytes: U64_BYTES,
  write: (value, to) => byteString.write(utf8(value), to),
  read: (from) => {
    const bytes = from.take(from.count(1));
    try {
      // Without ignoreBOM the decoder would swallow a leading U+FEFF, and the hash would change.
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      throw from.error("a string that is not UTF-8", from.offset - bytes.length);
    }
  },
};

/** So many bytes, without a length. Reading copies. */
export function fixedBytes(length: number): Codec<Uint8Array> {
  return {
    minBytes: length,
    write: (value, to) => to.bytes(value),
    read: (from) => from.take(length).slice(),
  };
}
