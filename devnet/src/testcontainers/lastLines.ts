import { setTimeout as delay } from "node:timers/promises";

export interface LastLines {
  readonly take: (chunk: Buffer | string) => void;
  all(): readonly string[];
  /** A line that holds this text; it may come a little later than others heard of it. */
  find(text: string): Promise<string>;
}

const MAX_LINES = 50;
const POLL_MS = 20;
const FIND_TIMEOUT_MS = 5_000;

/** Keeps the end of a stream of text, by lines. */
export function createLastLines(): LastLines {
  const lines: string[] = [];
  let rest = "";
  return {
    take: (chunk) => {
      const parts = (rest + chunk.toString()).split("\n");
      rest = parts.pop() ?? "";
      lines.push(...parts.map((line) => line.trimEnd()).filter((line) => line !== ""));
      if (lines.length > MAX_LINES) lines.splice(0, lines.length - MAX_LINES);
    },
    all: () => (rest === "" ? lines : [...lines, rest]),
    async find(text) {
      const giveUpAt = Date.now() + FIND_TIMEOUT_MS;
      for (;;) {
        const line = lines.find((each) => each.includes(text));
        if (line !== undefined) return line;
        if (Date.now() > giveUpAt) throw new Error(`the container's log lacks ${text}`);
        await delay(POLL_MS);
      }
    },
  };
}
