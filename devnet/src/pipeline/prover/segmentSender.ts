import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { status } from "@grpc/grpc-js";
import type { DataClient } from "../data/dataClient.ts";

export interface SegmentSenderOptions {
  /** `out/segments` of the split's working folder. */
  readonly from: string;
  readonly taskId: string;
  /** Where the stage and this node share a base folder: leaves a file in that for segments. Else they are sent. */
  readonly leave: ((name: string, content: { readonly file: string } | Uint8Array) => Promise<void>) | null;
  readonly data: DataClient | null;
  readonly signal: AbortSignal;
}

export interface SegmentSender {
  /** Sends what is there; gives the number of segments when the split is over. */
  finish(): Promise<number>;
  /** Sends one of the split's other files. */
  sendFile(path: string, file: string): Promise<void>;
}

const LOOK_EVERY_MS = 100;
/** What arrives together at the stage is stored together. */
const AT_ONCE = 8;
/**
 * A stage that is away, or whose database is, comes again: what it did not take is sent again until then, or until nobody waits
 * for the split. What it refuses for another reason is sent again for a while, as it may not know its own split yet.
 */
const SEND_AGAIN_MS = 500;
const SEND_FOR_MS = 120_000;

/** Hands over segments while the split runs, in order: a segment is whole once it has its name. */
export function createSegmentSender(options: SegmentSenderOptions): SegmentSender {
  const { from, leave } = options;
  const over = new AbortController();
  let sent = 0;

  const send = async (): Promise<void> => {
    const names = new Set(await readdir(from).catch(() => []));
    const first = sent;
    const sendOne = (segment: number): Promise<void> => {
      const path = join(from, String(segment));
      if (leave !== null) return leave(String(segment), { file: path });
      return options.data!.sendFile(path, { taskId: options.taskId, segment });
    };
    while (names.has(String(sent))) {
      const next = Array.from({ length: AT_ONCE }, (_, index) => sent + index);
      const there = next.filter((segment) => names.has(String(segment)));
      await Promise.all(there.map(sendOne));
      while (there.includes(sent)) sent += 1;
    }
    if (leave !== null && sent > first) await leave("segments.txt", Buffer.from(String(sent)));
  };
  const watching = (async () => {
    while (!over.signal.aborted) {
      const waitMs = await send().then(
        () => LOOK_EVERY_MS,
        () => SEND_AGAIN_MS,
      );
      await delay(waitMs, undefined, { signal: over.signal }).catch(() => {});
    }
  })();
  const insist = async (work: () => Promise<void>): Promise<void> => {
    let deadline = Date.now() + SEND_FOR_MS;
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (isAway(error)) deadline = Date.now() + SEND_FOR_MS;
        if (options.signal.aborted || Date.now() > deadline) throw error;
        await delay(SEND_AGAIN_MS);
      }
    }
  };

  return {
    async finish() {
      over.abort();
      await watching;
      // Nothing that is tried again mends it.
      await requireFiles(from);
      await insist(send);
      const beyond = (await readdir(from)).find((name) => /^\d+$/.test(name) && Number(name) > sent);
      if (beyond !== undefined)
        throw new Error(
          `out/segments has ${beyond}, but no ${sent}: number the segments from 0, without gaps`,
        );
      return sent;
    },
    sendFile: (path, file) => insist(() => options.data!.sendFile(path, { taskId: options.taskId, file })),
  };
}

function isAway(error: unknown): boolean {
  return (error as { code?: unknown }).code === status.UNAVAILABLE;
}

async function requireFiles(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.isFile() || !/^\d+$/.test(entry.name)) continue;
    // A link to a file is one.
    if (!(await stat(join(folder, entry.name))).isFile())
      throw new Error(`out/segments/${entry.name} is no file: write each segment as one file`);
  }
}
