import { type FileHandle, open, stat } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";

/** Of the end of a file, at most so much is looked through for lines. */
const MAX_TAIL_BYTES = 4 * 2 ** 20;
const CHUNK_BYTES = 65_536;
const LOOK_MS = 200;
const NEWLINE = 10;

export interface LogTail {
  readonly lines: readonly string[];
  /** Where the next line begins, for {@link followLog}. */
  readonly end: LogPosition;
}

/** A place in a file that may be moved aside and begun anew. */
export interface LogPosition {
  readonly inode: number | null;
  readonly bytes: number;
}

/** The last lines of a log that may have been moved aside to `<path>.1`; none where there is no file. */
export async function readLogTail(path: string, count: number): Promise<LogTail> {
  const { lines, end } = await tailOf(path, count);
  if (lines.length >= count) return { lines, end };
  const before = await tailOf(`${path}.1`, count - lines.length);
  return { lines: [...before.lines, ...lines], end };
}

async function tailOf(path: string, count: number): Promise<LogTail> {
  const file = await open(path).catch(ifMissing);
  if (file === null) return { lines: [], end: { inode: null, bytes: 0 } };
  try {
    const { size, ino } = await file.stat();
    const from = Math.max(0, size - MAX_TAIL_BYTES);
    const buffer = Buffer.alloc(size - from);
    const { bytesRead } = await file.read(buffer, 0, buffer.length, from);
    // A line that is being written is left to who follows.
    const whole = buffer.subarray(0, bytesRead).lastIndexOf(NEWLINE) + 1;
    const lines = buffer.toString("utf8", 0, whole).split("\n").slice(0, -1);
    const first = from > 0 ? 1 : 0;
    const kept = count === 0 ? [] : lines.slice(first).slice(-count);
    return { lines: kept, end: { inode: ino, bytes: from + whole } };
  } finally {
    await file.close();
  }
}

/** Lines as they are written, from a place on, also over a file that is begun anew; until the signal. */
export async function* followLog(
  path: string,
  from: LogPosition,
  signal: AbortSignal,
): AsyncGenerator<string> {
  let { inode, bytes } = from;
  let rest: Buffer = Buffer.alloc(0);
  const read = async (file: FileHandle): Promise<string[]> => {
    const lines: string[] = [];
    for (;;) {
      const { bytesRead, buffer } = await file.read(Buffer.alloc(CHUNK_BYTES), 0, CHUNK_BYTES, bytes);
      if (bytesRead === 0) return lines;
      bytes += bytesRead;
      const all = Buffer.concat([rest, buffer.subarray(0, bytesRead)]);
      const whole = all.lastIndexOf(NEWLINE) + 1;
      rest = all.subarray(whole);
      lines.push(...all.toString("utf8", 0, whole).split("\n").slice(0, -1));
    }
  };
  let file: FileHandle | null = null;
  try {
    while (!signal.aborted) {
      const now = await stat(path).catch(ifMissing);
      if (file !== null) yield* await read(file);
      if (now !== null && (file === null || now.ino !== inode)) {
        await file?.close();
        file = await open(path).catch(ifMissing);
        if (now.ino !== inode) [inode, bytes, rest] = [now.ino, 0, Buffer.alloc(0)];
        if (file !== null) yield* await read(file);
      }
      await delay(LOOK_MS, undefined, { signal }).catch(() => {});
    }
  } finally {
    await file?.close();
  }
}

/** Another's file is no missing one: that is said. */
function ifMissing(error: NodeJS.ErrnoException): null {
  if (error.code === "ENOENT") return null;
  throw error;
}
