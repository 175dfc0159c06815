const MAX_DEPTH = 3;
const MAX_ITEMS = 64;

/**
 * Whether bytes are one MessagePack value of the few kinds that messages are made of: nil, booleans, unsigned integers,
 * strings, byte strings, and arrays of at most 64 of these. Looked at before they are decoded: a decoder reserves what a
 * header promises, and has extensions that make objects of their own.
 */
export function isPlainMsgpack(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const { length } = bytes;
  /** Where the value ends; past the end of the bytes where it is none that is allowed. */
  const skip = (at: number, depth: number): number => {
    const bad = length + 1;
    if (at >= length) return bad;
    const head = bytes[at]!;
    if (head <= 0x7f || head === 0xc0 || head === 0xc2 || head === 0xc3) return at + 1;
    if (head >= 0x90 && head <= 0x9f) return skipItems(at + 1, head & 15, depth);
    if (head >= 0xa0 && head <= 0xbf) return at + 1 + (head & 31);
    if (head >= 0xcc && head <= 0xcf) return at + 1 + 2 ** (head - 0xcc);
    if (head === 0xdc) return at + 3 > length ? bad : skipItems(at + 3, view.getUint16(at + 1), depth);
    // Lengths of 1, 2 and 4 bytes: byte strings from 0xc4, strings from 0xd9.
    const size = head >= 0xc4 && head <= 0xc6 ? head - 0xc4 : head >= 0xd9 && head <= 0xdb ? head - 0xd9 : -1;
    const lengthBytes = 2 ** size;
    if (size < 0 || at + 1 + lengthBytes > length) return bad;
    let body = 0;
    for (let index = 1; index <= lengthBytes; index++) body = body * 256 + bytes[at + index]!;
    return at + 1 + lengthBytes + body;
  };
  const skipItems = (from: number, count: number, depth: number): number => {
    if (count > MAX_ITEMS || depth >= MAX_DEPTH) return length + 1;
    let at = from;
    for (let index = 0; index < count && at <= length; index++) at = skip(at, depth + 1);
    return at;
  };
  return skip(0, 0) === length;
}
