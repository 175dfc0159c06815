import { type FileHandle, open, stat } from "node:fs/promises";
import type { EventStream } from "./eventStreams.ts";

/** Where the console of a task's last attempt is written. */
export interface TaskConsole {
  readonly path: string;
  /** From 1; 0 where none was begun. */
  readonly attempt: number;
  /** Nothing will follow. */
  readonly hasEnded: boolean;
}

/** Null where this node has no such task. */
export type FindConsole = (task: string) => Promise<TaskConsole | null>;

const LOOK_MS = 200;
const CHUNK_BYTES = 32_768;
/** Of what is there already, the end. */
const FIRST_BYTES = 131_072;

/**
 * The console of a task while it runs: `attempt` when one begins, `text` as it comes (`skipped`: bytes before it that are
 * not sent), `current` once, when all is sent that was there, `end`. A character may come in two parts: the text is one
 * stream of UTF-8.
 */
export function followConsole(stream: EventStream, find: () => Promise<TaskConsole | null>): void {
  const reader = createReader();
  let attempt = -1;
  let isCurrent = false;
  let isClosed = false;
  let timer: NodeJS.Timeout | undefined;
  const look = async (): Promise<void> => {
    const found = await find();
    if (found === null) return stream.end();
    if (found.attempt !== attempt) {
      attempt = found.attempt;
      await reader.begin(found.path);
      stream.send({ name: "attempt", data: { attempt } });
    }
    // The end was looked at before the text, so that all of it is sent.
    while (!isClosed && !stream.isBehind) {
      const chunk = await reader.next();
      if (chunk === null) {
        // What ended meanwhile may be in a file that was not looked at yet.
        if (await reader.isReplaced()) break;
        if (!isCurrent) stream.send({ name: "current", data: {} });
        isCurrent = true;
        if (!found.hasEnded) break;
        stream.send({ name: "end", data: {} });
        return stream.end();
      }
      stream.send({ name: "text", data: chunk });
    }
  };
  const again = (): void => {
    look()
      .then(
        () => {
          if (!isClosed) timer = setTimeout(again, LOOK_MS);
        },
        () => stream.end(),
      )
      // A look that was under way may have opened the file again.
      .finally(() => isClosed && reader.end())
      .catch(() => {});
  };
  stream.onClose(() => {
    isClosed = true;
    clearTimeout(timer);
    reader.end().catch(() => {});
  });
  again();
}

/** Reads a file that grows; it may not be there yet. */
function createReader() {
  let path = "";
  let file: FileHandle | null = null;
  let position = 0;
  let decoder = new TextDecoder();
  const end = async (): Promise<void> => {
    const ended = file;
    file = null;
    await ended?.close();
  };
  const begin = async (next: string): Promise<void> => {
    await end();
    path = next;
    position = -1;
    decoder = new TextDecoder();
  };
  return {
    begin,
    end,
    /** Null where there is no more now. */
    async next(): Promise<{ readonly text: string; readonly skipped: number } | null> {
      file ??= await open(path).catch(() => null);
      if (file === null) return null;
      const { size } = await file.stat();
      const skipped = position < 0 ? Math.max(0, size - FIRST_BYTES) : 0;
      if (position < 0) position = skipped;
      const { bytesRead, buffer } = await file.read(Buffer.alloc(CHUNK_BYTES), 0, CHUNK_BYTES, position);
      if (bytesRead === 0) return null;
      position += bytesRead;
      return { text: decoder.decode(buffer.subarray(0, bytesRead), { stream: true }), skipped };
    },
    /** An attempt is noted before the file of the one before is gone; then the new one is read from its begin. */
    async isReplaced(): Promise<boolean> {
      const now = await stat(path).catch(() => null);
      if (file === null || now === null || now.ino === (await file.stat()).ino) return false;
      await begin(path);
      return true;
    },
  };
}
