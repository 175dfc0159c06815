import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { createRingBuffer } from "./ringBuffer.ts";

export interface ConsoleSink {
  write(chunk: Uint8Array): void;
  /** All that was ever written. */
  readonly totalBytes: number;
  /** The last 4 KiB as text. */
  tail(): string;
  /** Completes the file. Never rejects; gives back what went wrong with the disk, or null. */
  close(): Promise<Error | null>;
}

/** Kept in memory while a console floods, per VM. */
const MAX_TAIL_BYTES = 2 ** 20;
const MARK_BYTES = 64;
const RECENT_BYTES = 4_096;

/**
 * Writes a console to a file of at most `limitBytes`: the head as it comes, and at the end a mark that says how
 * much was left out, and the tail. It always takes what it is given, so that a flood blocks nobody.
 *
 * Rejects where the file can't be made.
 */
export async function createConsoleSink(options: {
  readonly path: string;
  readonly limitBytes: number;
}): Promise<ConsoleSink> {
  const file = createWriteStream(options.path, { flags: "w", mode: 0o644 });
  await once(file, "open");
  let problem: Error | null = null;
  file.on("error", (error) => {
    problem ??= error;
  });
  const room = Math.max(0, options.limitBytes - MARK_BYTES);
  const tailBytes = Math.min(Math.floor(room / 2), MAX_TAIL_BYTES);
  let headRoom = room - tailBytes;
  const tail = createRingBuffer(tailBytes);
  const recent = createRingBuffer(RECENT_BYTES);

  return {
    write(chunk) {
      recent.write(chunk);
      const head = chunk.subarray(0, headRoom);
      headRoom -= head.length;
      if (head.length > 0 && problem === null) file.write(head);
      if (head.length < chunk.length) tail.write(chunk.subarray(head.length));
    },
    get totalBytes() {
      return recent.totalBytes;
    },
    tail: () => recent.read().toString("utf8"),
    async close() {
      if (problem === null) {
        const kept = tail.read();
        const leftOut = tail.totalBytes - kept.length;
        if (leftOut > 0) file.write(`\n[${leftOut} bytes of the console left out]\n`);
        file.end(kept);
        await once(file, "close").catch(() => {});
      }
      return problem;
    },
  };
}
