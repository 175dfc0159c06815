import type { FileProgress, OnProgress } from "../context/progress.ts";

/** Where the line goes: standard error, as a rule. */
export interface LineStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

export interface ProgressLine {
  readonly onProgress: OnProgress;
  /** Takes the line away again. */
  clear(): void;
}

/** What is done sooner needs no line. */
const SHOW_AFTER_MS = 300;
const REDRAW_MS = 100;
const MIB = 2 ** 20;
const DEFAULT_COLUMNS = 80;
const ERASE_LINE = "\r\u001b[2K";
const VERBS = { hashing: "hashing", serving: "the node fetches", uploading: "uploading" } as const;

/** One line that shows how far a file is, on a terminal only. */
export function createProgressLine(stream: LineStream, now: () => number): ProgressLine {
  const startedMs = now();
  let drawnMs = Number.NEGATIVE_INFINITY;
  let isShown = false;
  return {
    onProgress(progress) {
      const ms = now();
      if (!stream.isTTY || ms - startedMs < SHOW_AFTER_MS || ms - drawnMs < REDRAW_MS) return;
      drawnMs = ms;
      isShown = true;
      // A terminal that does not know its width says 0.
      const width = (stream.columns || DEFAULT_COLUMNS) - 1;
      stream.write(ERASE_LINE + progressText(progress).slice(0, width));
    },
    clear() {
      if (isShown) stream.write(ERASE_LINE);
      isShown = false;
    },
  };
}

function progressText({ phase, file, bytesDone, bytesTotal }: FileProgress): string {
  const percent = bytesTotal === 0 ? 100 : Math.floor((bytesDone / bytesTotal) * 100);
  const name = file.slice(file.lastIndexOf("/") + 1);
  return `${VERBS[phase]} ${name}: ${percent}% of ${(bytesTotal / MIB).toFixed(1)} MiB`;
}

/** Shows the progress of some work, unless it is for a script. */
export async function withProgress<T>(
  { json }: { readonly json: boolean },
  work: (onProgress: OnProgress | undefined) => Promise<T>,
): Promise<T> {
  if (json) return work(undefined);
  const line = createProgressLine(process.stderr, () => performance.now());
  try {
    return await work(line.onProgress);
  } finally {
    line.clear();
  }
}
