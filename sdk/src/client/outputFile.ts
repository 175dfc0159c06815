import type { ClientContext } from "../context/context.ts";
import { needLocal } from "../context/platform.ts";
import { isGevulotError } from "../errors.ts";
import { concatBytes } from "../protocol/bytes.ts";
import type { RpcFile } from "../protocol/rpc/rpcTransaction.ts";
import type { Hash } from "../protocol/transaction.ts";
import { cancelled } from "../transport/cancelled.ts";
import { createDeadline, delay } from "../transport/deadline.ts";
import { createIdleWatch, DEFAULT_IDLE_TIMEOUT_MS } from "../transport/idleWatch.ts";
import { checkChecksum, downloadFailed, openDownload, reasonOf } from "../transport/openDownload.ts";
import { readBody } from "../transport/readBody.ts";

export interface FetchFileOptions {
  /** Default: 1 GiB into memory, 64 GiB to disk. */
  readonly maxBytes?: number | undefined;
  /** For the whole file; default ten minutes. */
  readonly timeoutMs?: number | undefined;
  /** How long the node may send nothing; default 30 s. */
  readonly idleTimeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A file that a program left. Nothing is downloaded before it is asked for. */
export interface OutputFile {
  /** The path inside the VM. */
  readonly vmPath: string;
  /** BLAKE3, 64 hex digits; what is downloaded is checked against it. */
  readonly checksum: Hash;
  readonly url: string;
  /** Throws `DOWNLOAD_FAILED`, `DOWNLOAD_NOT_YET`, `CHECKSUM_WRONG`, `BODY_TOO_LARGE` or `CANCELLED`. */
  bytes(options?: FetchFileOptions): Promise<Uint8Array>;
  /** Writes to a path, by way of `<path>.tmp`; Node.js only. Throws as `bytes` does. */
  download(path: string, options?: FetchFileOptions): Promise<void>;
}

const DEFAULT_MAX_BYTES = 2 ** 30;
const DEFAULT_TIMEOUT_MS = 10 * 60_000;
const RETRIES = 3;
const FIRST_RETRY_MS = 200;

export function createOutputFile(context: ClientContext, { vmPath, checksum, url }: RpcFile): OutputFile {
  return {
    vmPath,
    checksum,
    url,
    bytes: (options = {}) => tryAgain(url, options, () => fetchBytes(context, url, checksum, options)),
    async download(path, options = {}) {
      const local = needLocal(context.platform, "Writing a file");
      const { timeoutMs = DEFAULT_TIMEOUT_MS } = options;
      const download = { ...options, timeoutMs, url, path, checksum, fetch: context.fetch };
      await tryAgain(url, options, () => local.downloadFile(download));
    },
  };
}

async function fetchBytes(
  { fetch, platform }: ClientContext,
  url: string,
  checksum: Hash,
  options: FetchFileOptions,
): Promise<Uint8Array> {
  const { maxBytes = DEFAULT_MAX_BYTES, timeoutMs = DEFAULT_TIMEOUT_MS, signal } = options;
  const { idleTimeoutMs = DEFAULT_IDLE_TIMEOUT_MS } = options;
  const deadline = createDeadline(timeoutMs, signal);
  const idle = createIdleWatch(idleTimeoutMs, deadline.signal);
  const chunks: Uint8Array[] = [];
  try {
    const hasher = await platform.createBlake3();
    for await (const chunk of readBody(await openDownload(fetch, url, idle.signal), maxBytes)) {
      idle.touch();
      hasher.update(chunk);
      chunks.push(chunk);
    }
    checkChecksum(url, checksum, hasher.digest());
  } catch (error) {
    if (isGevulotError(error)) throw error;
    if (signal?.aborted) throw cancelled(`the download of ${url}`, signal);
    if (deadline.isOver()) throw downloadFailed(url, null, `it took more than ${timeoutMs} ms`, error);
    throw downloadFailed(url, null, reasonOf(error), error);
  } finally {
    idle.stop();
  }
  return concatBytes(chunks);
}

/** Again where the file was not there yet in full, or the connection failed: a node may be writing, or restarting. */
async function tryAgain<T>(url: string, { signal }: FetchFileOptions, work: () => Promise<T>): Promise<T> {
  const never = new AbortController().signal;
  for (let failures = 0; ; failures++) {
    try {
      return await work();
    } catch (error) {
      const isPassing =
        isGevulotError(error, "DOWNLOAD_NOT_YET") ||
        (isGevulotError(error, "DOWNLOAD_FAILED") && error.context.status === null);
      if (!isPassing || failures >= RETRIES) throw error;
    }
    await delay(FIRST_RETRY_MS * 2 ** failures, signal ?? never).catch(() => {
      throw cancelled(`the download of ${url}`, signal ?? never);
    });
  }
}
