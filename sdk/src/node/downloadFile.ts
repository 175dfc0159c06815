import { rename } from "node:fs/promises";
import { isGevulotError } from "../errors.ts";
import { cancelled } from "../transport/cancelled.ts";
import { createDeadline, delay } from "../transport/deadline.ts";
import { createIdleWatch, DEFAULT_IDLE_TIMEOUT_MS, type IdleWatch } from "../transport/idleWatch.ts";
import { checkChecksum, downloadFailed, reasonOf } from "../transport/openDownload.ts";
import { type OpenedRange, openRange } from "../transport/openRange.ts";
import { readBody } from "../transport/readBody.ts";
import { openPartFile, type PartFile } from "./partFile.ts";

export const DEFAULT_DOWNLOAD_MAX_BYTES = 64 * 2 ** 30;
export const DEFAULT_DOWNLOAD_TIMEOUT_MS = 30 * 60_000;
/** Cuts in a row that brought no new bytes. */
const MAX_FRUITLESS_CUTS = 4;
const FIRST_PAUSE_MS = 200;

export interface DownloadFileOptions {
  readonly url: string;
  /** Where the file goes, once it is complete and right; its folder is made. A file that is there is replaced. */
  readonly path: string;
  /** BLAKE3, 64 hex digits. */
  readonly checksum: string;
  readonly maxBytes?: number | undefined;
  /** For the whole file. */
  readonly timeoutMs?: number | undefined;
  /** How long the server may send nothing before the connection counts as cut; default 30 s. */
  readonly idleTimeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly fetch?: typeof globalThis.fetch;
}

/**
 * Downloads to `<path>.tmp`, hashing as it streams, and renames when the checksum fits (protocol section 6). A
 * connection that is cut is taken up where it ended. A download that fails or is cancelled leaves its `.tmp` if that is
 * larger than 1 MiB, and the next one for the same path goes on from there; a wrong checksum leaves nothing. One
 * download for a path at a time. Throws `DOWNLOAD_FAILED`, `DOWNLOAD_NOT_YET`, `CHECKSUM_WRONG`, `BODY_TOO_LARGE` or
 * `CANCELLED`.
 */
export async function downloadFile(options: DownloadFileOptions): Promise<void> {
  const { url, path, maxBytes = DEFAULT_DOWNLOAD_MAX_BYTES } = options;
  const { timeoutMs = DEFAULT_DOWNLOAD_TIMEOUT_MS, signal } = options;
  const deadline = createDeadline(timeoutMs, signal);
  const partPath = `${path}.tmp`;
  let part: PartFile | undefined;
  try {
    part = await openPartFile(partPath, maxBytes, deadline.signal);
    await fill(part, { ...options, maxBytes, signal: deadline.signal });
    await part.close();
    await rename(partPath, path);
  } catch (error) {
    await part?.close();
    const canGoOn =
      deadline.signal.aborted ||
      isGevulotError(error, "DOWNLOAD_FAILED") ||
      isGevulotError(error, "DOWNLOAD_NOT_YET");
    await (canGoOn ? part?.leave() : part?.remove());
    if (isGevulotError(error)) throw error;
    if (signal?.aborted) throw cancelled(`the download of ${url}`, signal);
    if (deadline.isOver()) throw downloadFailed(url, null, `it took more than ${timeoutMs} ms`, error);
    throw downloadFailed(url, null, reasonOf(error), error);
  }
}

type Filling = Omit<DownloadFileOptions, "signal"> & {
  readonly maxBytes: number;
  readonly signal: AbortSignal;
};

async function fill(part: PartFile, options: Filling): Promise<void> {
  const { url, checksum, signal } = options;
  // Pieces of two files may have been put together where one of them was here before, or without an ETag.
  if ((await receive(part, options)) && (await part.digest()) !== checksum.toLowerCase()) {
    await part.begin(0);
    await receive(part, options);
  }
  signal.throwIfAborted();
  checkChecksum(url, checksum, await part.digest());
}

/** Until all bytes are there, however often the connection is cut. True if they came in more than one piece. */
async function receive(part: PartFile, options: Filling): Promise<boolean> {
  let furthest = part.length();
  let etag: string | null = null;
  let isJoined = false;
  for (let fruitless = 0; ; ) {
    const piece = await receivePiece(part, etag, options);
    isJoined ||= piece.start > 0;
    if (piece.cut === undefined) return isJoined;
    options.signal.throwIfAborted();
    fruitless = part.length() > furthest ? 0 : fruitless + 1;
    if (fruitless >= MAX_FRUITLESS_CUTS) throw cutOff(options.url, piece.cut);
    furthest = Math.max(furthest, part.length());
    etag = piece.etag;
    await delay(FIRST_PAUSE_MS * 2 ** fruitless, options.signal);
  }
}

function cutOff(url: string, cause: unknown): unknown {
  return isGevulotError(cause) ? cause : downloadFailed(url, null, reasonOf(cause), cause);
}

interface Piece {
  readonly start: number;
  readonly etag: string | null;
  /** Why it ended too early; undefined where it did not. */
  readonly cut: unknown;
}

async function receivePiece(part: PartFile, etag: string | null, options: Filling): Promise<Piece> {
  const { url, fetch = globalThis.fetch, signal, idleTimeoutMs = DEFAULT_IDLE_TIMEOUT_MS } = options;
  const idle = createIdleWatch(idleTimeoutMs, signal);
  const from = { start: part.length(), etag };
  try {
    const opened = await openRange(fetch, url, from, idle.signal);
    await part.begin(opened.start);
    const cut = await receiveBody(part, opened, options.maxBytes, idle);
    return { start: opened.start, etag: opened.etag, cut };
  } catch (error) {
    const isIdle = idle.signal.aborted && !signal.aborted;
    const failure = isIdle ? downloadFailed(url, null, reasonOf(idle.signal.reason), error) : error;
    // A server that was never reached is wrongly named; one that was may come back.
    if (from.start > 0 && isGevulotError(failure, "DOWNLOAD_FAILED") && failure.context.status === null)
      return { ...from, cut: failure };
    throw failure;
  } finally {
    idle.stop();
  }
}

/** Gives why it ended too early, where it did. */
async function receiveBody(
  part: PartFile,
  opened: OpenedRange,
  maxBytes: number,
  idle: IdleWatch,
): Promise<unknown> {
  if (opened.response === null) return undefined;
  const body = readBody(opened.response, maxBytes, opened.start);
  try {
    for (;;) {
      idle.touch();
      const next = await body.next().catch((cut: unknown) => {
        if (isGevulotError(cut)) throw cut;
        return { cut };
      });
      if ("cut" in next) return next.cut;
      if (next.done) return undefined;
      idle.touch();
      await part.append(next.value);
    }
  } finally {
    await body.return();
  }
}
