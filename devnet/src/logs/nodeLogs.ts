import type { LogEntry } from "./logEntry.ts";
import { createEntryReader } from "./logEntry.ts";
import { followLog, readLogTail } from "./logFile.ts";

/** A log file, and the name of its node. */
export interface NodeLog {
  readonly name: string;
  readonly path: string;
}

/**
 * The last entries of some nodes together, in the order of their times.
 * @returns them, and how to go on from there: entries as they come, until the signal
 */
export async function readNodeLogs(
  logs: readonly NodeLog[],
  count: number,
): Promise<{
  entries: readonly LogEntry[];
  follow: (onEntry: (entry: LogEntry) => void, signal: AbortSignal) => Promise<void>;
}> {
  const read = await Promise.all(
    logs.map(async ({ name, path }) => {
      const { lines, end } = await readLogTail(path, count);
      const toEntry = createEntryReader(name);
      return { path, end, toEntry, entries: lines.map(toEntry) };
    }),
  );
  const entries = read
    .flatMap((each) => each.entries)
    .map((entry, index) => ({ entry, index }))
    .sort((a, b) => (a.entry.time < b.entry.time ? -1 : a.entry.time > b.entry.time ? 1 : a.index - b.index))
    .map(({ entry }) => entry);
  return {
    entries: count === 0 ? [] : entries.slice(-count),
    async follow(onEntry, signal) {
      await Promise.all(
        read.map(async ({ path, end, toEntry }) => {
          for await (const line of followLog(path, end, signal)) onEntry(toEntry(line));
        }),
      );
    },
  };
}
