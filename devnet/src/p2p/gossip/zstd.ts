import { Decompress } from "fzstd";

const MAGIC = 0xfd2fb528;
/** The frame names its content's length in 4 bytes, and is one segment. */
const DESCRIPTOR = 0b1010_0000;
const MAX_BLOCK_BYTES = 128 * 1_024;
const BLOCK_HEADER_BYTES = 3;
const HEADER_BYTES = 9;
/** Longer metrics are not read. */
const MAX_TEXT_BYTES = 1_024 * 1_024;
const MAX_WINDOW_BYTES = 8 * 1_024 * 1_024;
const MAX_BLOCKS = 64;

/**
 * A frame of zstd (RFC 8878) whose blocks are stored as they are. Every decoder reads it, and Node.js 20 has no
 * encoder; metrics are a few KiB, so that nothing is gained by squeezing them.
 */
export function zstdStored(bytes: Uint8Array): Uint8Array {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32LE(MAGIC);
  header.writeUInt8(DESCRIPTOR, 4);
  header.writeUInt32LE(bytes.length, 5);
  const parts: Uint8Array[] = [header];
  for (let at = 0; at === 0 || at < bytes.length; at += MAX_BLOCK_BYTES) {
    const block = bytes.subarray(at, at + MAX_BLOCK_BYTES);
    const isLast = at + MAX_BLOCK_BYTES >= bytes.length;
    const blockHeader = Buffer.alloc(BLOCK_HEADER_BYTES);
    blockHeader.writeUIntLE((block.length << 3) | (isLast ? 1 : 0), 0, BLOCK_HEADER_BYTES);
    parts.push(blockHeader, block);
  }
  return Buffer.concat(parts);
}

/** The text of a frame from a stranger; null where it is none, or longer than 1 MiB. */
export function zstdText(bytes: Uint8Array): string | null {
  if (!isModestFrame(bytes)) return null;
  const parts: Uint8Array[] = [];
  let length = 0;
  try {
    const decoder = new Decompress((part) => {
      length += part.length;
      if (length > MAX_TEXT_BYTES) throw new Error("too long");
      parts.push(Uint8Array.from(part));
    });
    decoder.push(new Uint8Array(bytes), true);
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(parts));
  } catch {
    return null;
  }
}

/** One frame, of a window and a number of blocks that metrics may have: the decoder reserves what the header says. */
function isModestFrame(bytes: Uint8Array): boolean {
  const frame = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (frame.length < HEADER_BYTES || frame.readUInt32LE(0) !== MAGIC) return false;
  const flags = frame[4]!;
  const isOneSegment = (flags & 32) !== 0;
  const dictionaryBytes = [0, 1, 2, 4][flags & 3]!;
  const sizeBytes = flags >> 6 === 0 ? (isOneSegment ? 1 : 0) : 2 ** (flags >> 6);
  const sizeAt = (isOneSegment ? 5 : 6) + dictionaryBytes;
  if (sizeBytes === 8 || sizeAt + sizeBytes > frame.length) return false;
  const exponent = frame[5]! >> 3;
  const segmentBytes = sizeBytes === 0 ? 0 : frame.readUIntLE(sizeAt, sizeBytes);
  const windowBytes = isOneSegment ? segmentBytes : 2 ** (10 + exponent) * (1 + (frame[5]! & 7) / 8);
  if (windowBytes > MAX_WINDOW_BYTES) return false;
  let at = sizeAt + sizeBytes;
  for (let count = 0; count < MAX_BLOCKS && at + BLOCK_HEADER_BYTES <= frame.length; count++) {
    const header = frame.readUIntLE(at, BLOCK_HEADER_BYTES);
    const isRepeatedByte = ((header >> 1) & 3) === 1;
    at += BLOCK_HEADER_BYTES + (isRepeatedByte ? 1 : header >> 3);
    const checksumBytes = (flags & 4) !== 0 ? 4 : 0;
    if ((header & 1) === 1) return at + checksumBytes === frame.length;
  }
  return false;
}
