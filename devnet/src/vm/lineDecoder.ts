export interface LineDecoder {
  /** Takes bytes as they arrive; gives back the lines that are complete, without their ends. */
  push(chunk: Uint8Array): string[];
}

const LF = 0x0a;

/**
 * Splits a byte stream into lines that end in `\n` or `\r\n`. It never holds more than `maxLineBytes`: a longer
 * line is dropped whole, because what a guest sends must not fill the host's memory.
 */
export function createLineDecoder(options: { readonly maxLineBytes: number }): LineDecoder {
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  let isTooLong = false;

  const take = (part: Uint8Array): void => {
    if (isTooLong || pendingBytes + part.length > options.maxLineBytes) {
      pending = [];
      pendingBytes = 0;
      isTooLong = true;
    } else if (part.length > 0) {
      // A copy: the chunk may be a view into a large pool that would stay alive with it.
      pending.push(Uint8Array.from(part));
      pendingBytes += part.length;
    }
  };

  return {
    push(chunk) {
      const lines: string[] = [];
      let start = 0;
      for (let end = chunk.indexOf(LF); end !== -1; end = chunk.indexOf(LF, start)) {
        take(chunk.subarray(start, end));
        if (!isTooLong) lines.push(Buffer.concat(pending).toString("utf8").replace(/\r$/, ""));
        pending = [];
        pendingBytes = 0;
        isTooLong = false;
        start = end + 1;
      }
      take(chunk.subarray(start));
      return lines;
    },
  };
}
