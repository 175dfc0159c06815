import { GevulotError } from "../../errors.ts";

declare module "../../errors.ts" {
  interface ErrorContexts {
    /** Bytes that are not what they should be; `offset` is where. */
    BINCODE_INVALID: { offset: number; problem: string };
  }
}

/** Reads little-endian values off a byte array, never past its end. */
export interface Reader {
  readonly offset: number;
  readonly remaining: number;
  u8(): number;
  u16(): number;
  u32(): number;
  u64(): bigint;
  /** A view, not a copy. */
  take(length: number): Uint8Array;
  /** A u64 count of things that are at least `minBytes` long each, so that the count can be checked before any is read. */
  count(minBytes: number): number;
  /** The error to throw for bytes that can't be taken; `offset` defaults to where the reader stands. */
  error(problem: string, offset?: number): GevulotError<"BINCODE_INVALID">;
}

export function createReader(bytes: Uint8Array): Reader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let offset = 0;

  function error(problem: string, at: number = offset): GevulotError<"BINCODE_INVALID"> {
    return new GevulotError("BINCODE_INVALID", `Malformed bincode at byte ${at}: ${problem}.`, {
      context: { offset: at, problem },
    });
  }
  function advance(length: number): number {
    if (length > bytes.length - offset) {
      throw error(`${length} more bytes wanted, ${bytes.length - offset} left`);
    }
    const from = offset;
    offset += length;
    return from;
  }
  return {
    get offset() {
      return offset;
    },
    get remaining() {
      return bytes.length - offset;
    },
    u8: () => view.getUint8(advance(1)),
    u16: () => view.getUint16(advance(2), true),
    u32: () => view.getUint32(advance(4), true),
    u64: () => view.getBigUint64(advance(8), true),
    take: (length) => {
      const from = advance(length);
      return bytes.subarray(from, from + length);
    },
    count: (minBytes) => {
      const at = offset;
      const count = view.getBigUint64(advance(8), true);
      if (count * BigInt(minBytes) > BigInt(bytes.length - offset)) {
        throw error(`a count of ${count}, more than the ${bytes.length - offset} bytes left can hold`, at);
      }
      return Number(count);
    },
    error,
  };
}
