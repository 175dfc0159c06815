import fc from "fast-check";
import { expect, test } from "vitest";
import { createRingBuffer } from "./ringBuffer.ts";

test("holds exactly the last bytes", () => {
  fc.assert(
    fc.property(fc.nat(20), fc.array(fc.uint8Array({ maxLength: 50 })), (capacity, chunks) => {
      const ring = createRingBuffer(capacity);
      for (const chunk of chunks) ring.write(chunk);
      const all = Buffer.concat(chunks);
      expect(ring.totalBytes).toBe(all.length);
      expect(ring.read()).toEqual(all.subarray(Math.max(0, all.length - capacity)));
    }),
  );
});
