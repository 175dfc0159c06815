import { MAX_MESSAGE_BYTES } from "./message.ts";

/** Version 2: messages longer than a frame travel in chunks, each with one byte before it: 1 for the last, else 0. */
const LAST = 1;
const MORE = 0;
const CHUNK_BYTES = MAX_MESSAGE_BYTES - 1;

/** A transaction of 8 MiB and what its fields take besides. */
export const MAX_CHUNKED_BYTES = 9 * 1_024 * 1_024;

export function toChunks(message: Uint8Array): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  for (let at = 0; at === 0 || at < message.length; at += CHUNK_BYTES) {
    const chunk = message.subarray(at, at + CHUNK_BYTES);
    const isLast = at + CHUNK_BYTES >= message.length;
    chunks.push(Buffer.concat([Uint8Array.of(isLast ? LAST : MORE), chunk]));
  }
  return chunks;
}

export type Assembled =
  | { readonly kind: "message"; readonly bytes: Uint8Array }
  | { readonly kind: "more" }
  | { readonly kind: "fault"; readonly reason: string };

/** Puts chunks together. What it holds is at most a message's length; after a fault it is of no use any more. */
export function createAssembler(maxBytes: number = MAX_CHUNKED_BYTES): {
  push(chunk: Uint8Array): Assembled;
} {
  let held: Uint8Array[] = [];
  let length = 0;
  return {
    push(chunk) {
      const flag = chunk[0];
      if (flag !== LAST && flag !== MORE) return { kind: "fault", reason: "a chunk without its mark" };
      const body = chunk.subarray(1);
      // Chunks of nothing would never end a message, nor let it grow.
      if (flag === MORE && body.length !== CHUNK_BYTES) {
        return { kind: "fault", reason: "a chunk that is not full, and not the last" };
      }
      length += body.length;
      if (length > maxBytes) return { kind: "fault", reason: `a message of more than ${maxBytes} bytes` };
      held.push(body);
      if (flag === MORE) return { kind: "more" };
      const bytes = held.length === 1 ? body : Buffer.concat(held, length);
      held = [];
      length = 0;
      return { kind: "message", bytes };
    },
  };
}
