export interface RingBuffer {
  write(chunk: Uint8Array): void;
  /** All bytes that were ever written. */
  readonly totalBytes: number;
  /** The last bytes, in their order. */
  read(): Buffer;
}

/** Keeps the last `capacityBytes` of a stream. */
export function createRingBuffer(capacityBytes: number): RingBuffer {
  let ring: Buffer | null = null;
  let totalBytes = 0;
  return {
    get totalBytes() {
      return totalBytes;
    },
    write(chunk) {
      // Most consoles are short: nothing is allocated before something comes.
      ring ??= Buffer.alloc(capacityBytes);
      const kept = chunk.subarray(Math.max(0, chunk.length - capacityBytes));
      const at = (totalBytes + chunk.length - kept.length) % Math.max(1, capacityBytes);
      const first = kept.subarray(0, capacityBytes - at);
      ring.set(first, at);
      ring.set(kept.subarray(first.length), 0);
      totalBytes += chunk.length;
    },
    read() {
      if (ring === null) return Buffer.alloc(0);
      if (totalBytes <= capacityBytes) return Buffer.from(ring.subarray(0, totalBytes));
      const at = totalBytes % capacityBytes;
      return Buffer.concat([ring.subarray(at), ring.subarray(0, at)]);
    },
  };
}
