/** Takes counted bytes out of a stream. */
export interface ByteReader {
  /** Exactly so many bytes; fewer only at the end of the stream. Held in memory: for small counts. */
  read(count: number): Promise<Buffer>;
  /** So many bytes as they come; fewer only at the end of the stream. */
  stream(count: number): AsyncGenerator<Buffer>;
}

export function createByteReader(source: AsyncIterable<Buffer>): ByteReader {
  const chunks = source[Symbol.asyncIterator]();
  let rest: Buffer = Buffer.alloc(0);
  async function* stream(count: number): AsyncGenerator<Buffer> {
    for (let left = count; left > 0; ) {
      while (rest.length === 0) {
        const next = await chunks.next();
        if (next.done) return;
        rest = next.value;
      }
      const chunk = rest.subarray(0, left);
      rest = rest.subarray(chunk.length);
      left -= chunk.length;
      yield chunk;
    }
  }
  return {
    stream,
    async read(count) {
      const parts: Buffer[] = [];
      for await (const chunk of stream(count)) parts.push(chunk);
      return Buffer.concat(parts);
    },
  };
}
