import type { Writable } from "node:stream";

/** Shows a program's console as it comes, and keeps little of it for a reader who is slow. */
export interface LiveConsole {
  write(chunk: Uint8Array | string): void;
  /** To be called when there is no more. */
  end(): void;
}

const MAX_WAITING_BYTES = 16 * 2 ** 20;

export function createLiveConsole(out: Writable, maxWaitingBytes = MAX_WAITING_BYTES): LiveConsole {
  let leftOut = 0;
  const tell = (): void => {
    if (leftOut > 0) out.write(`\n[${leftOut} bytes of the console left out: they were not read in time]\n`);
    leftOut = 0;
  };
  return {
    write(chunk) {
      if (out.writableLength > maxWaitingBytes) {
        leftOut += chunk.length;
        return;
      }
      tell();
      out.write(chunk);
    },
    end: tell,
  };
}
