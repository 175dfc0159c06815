/** What is known when a VM ends without having said how. */
export interface VmEvidence {
  /** The last of the console. */
  readonly console: string;
  /** The last of what QEMU itself wrote. */
  readonly stderr: string;
}

const QUOTED_LINES = 5;
const MAX_LINE_CHARS = 200;

/** The text of a kernel panic on the console, or null. */
export function panicOf(console: string): string | null {
  const matches = [...console.matchAll(/Kernel panic - not syncing: ([^\r\n]*)/g)];
  return matches.at(-1)?.[1]?.trim() ?? null;
}

/** The kernel gives up too where there is no process left to kill for memory. */
export function isMemoryPanic(panic: string): boolean {
  return /out of memory|deadlocked on memory/i.test(panic);
}

/** Quotes the last lines of QEMU and of the console; empty where neither said anything. */
export function quoteEvidence({ console, stderr }: VmEvidence): string {
  const qemu = lastLines(stderr);
  const guest = lastLines(console);
  return [
    qemu === "" ? "" : ` QEMU wrote: "${qemu}".`,
    guest === "" ? "" : ` The console ends with: "${guest}".`,
  ].join("");
}

function lastLines(text: string): string {
  const lines = text
    // biome-ignore lint/suspicious/noControlCharactersInRegex: terminals are spoken to in these.
    .replace(/\u001b[c[][0-9;?]*[A-Za-z]?/g, "")
    .split(/[\r\n]+/)
    .map((line) => line.replace(/[^\x20-\x7e\u00a0-\uffff]/g, "").trim())
    .filter((line) => line !== "");
  return lines
    .slice(-QUOTED_LINES)
    .map((line) => line.slice(0, MAX_LINE_CHARS))
    .join(" / ");
}
