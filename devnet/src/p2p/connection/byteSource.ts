import type { Readable } from "node:stream";

/** Bytes of a socket in pieces of the asked lengths. What is not asked for stays in the socket: that is the backpressure. */
export interface ByteSource {
  /** Exactly so many bytes; null where the stream ends before. Rejects when the socket is destroyed with an error. */
  read(length: number): Promise<Uint8Array | null>;
}

export function createByteSource(stream: Readable): ByteSource {
  const chunks = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let held: Buffer = Buffer.alloc(0);
  let offset = 0;

  return {
    async read(length) {
      if (held.length - offset < length) {
        const parts = [held.subarray(offset)];
        let total = parts[0]!.length;
        while (total < length) {
          const next = await chunks.next();
          if (next.done) return null;
          parts.push(next.value);
          total += next.value.length;
        }
        held = parts.length === 1 ? parts[0]! : Buffer.concat(parts, total);
        offset = 0;
      }
      const piece = held.subarray(offset, offset + length);
      offset += length;
      return piece;
    },
  };
}
