const FIRST_CAPACITY_BYTES = 256;

/** Appends little-endian values to a buffer that grows. */
export interface Writer {
  u8(value: number): void;
  u16(value: number): void;
  u32(value: number): void;
  u64(value: bigint): void;
  bytes(value: Uint8Array): void;
  /** What was written so far, as a copy. */
  finish(): Uint8Array;
}

export function createWriter(): Writer {
  let buffer = new Uint8Array(FIRST_CAPACITY_BYTES);
  let view = new DataView(buffer.buffer);
  let length = 0;

  function extend(by: number): number {
    const from = length;
    length += by;
    if (length > buffer.length) {
      const larger = new Uint8Array(Math.max(length, 2 * buffer.length));
      larger.set(buffer);
      buffer = larger;
      view = new DataView(buffer.buffer);
    }
    return from;
  }
  return {
    u8: (value) => {
      const at = extend(1);
      view.setUint8(at, value);
    },
    u16: (value) => {
      const at = extend(2);
      view.setUint16(at, value, true);
    },
    u32: (value) => {
      const at = extend(4);
      view.setUint32(at, value, true);
    },
    u64: (value) => {
      const at = extend(8);
      view.setBigUint64(at, value, true);
    },
    bytes: (value) => {
      const at = extend(value.length);
      buffer.set(value, at);
    },
    finish: () => buffer.slice(0, length),
  };
}
