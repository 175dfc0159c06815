import { type FileHandle, mkdir, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { Blake3Hasher } from "@napi-rs/blake-hash";
import { isGevulotError } from "../errors.ts";
import { cancelled } from "../transport/cancelled.ts";
import { createDeadline } from "../transport/deadline.ts";
import { checkChecksum, downloadFailed, openDownload, reasonOf } from "../transport/openDownload.ts";
import { readBody } from "../transport/readBody.ts";

export const DEFAULT_DOWNLOAD_MAX_BYTES = 64 * 2 ** 30;
export const DEFAULT_DOWNLOAD_TIMEOUT_MS = 30 * 60_000;

export interface DownloadFileOptions {
  readonly url: string;
  /** Where the file goes, once it is complete and right; its folder is made. A file that is there is replaced. */
  readonly path: string;
  /** BLAKE3, 64 hex digits. */
  readonly checksum: string;
  readonly maxBytes?: number | undefined;
  /** For the whole file. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly fetch?: typeof globalThis.fetch;
}

/**
 * Downloads to `<path>.tmp`, hashing as it streams, and renames when the checksum fits (protocol section 6); otherwise
 * leaves nothing. One download for a path at a time. Throws `DOWNLOAD_FAILED`, `DOWNLOAD_NOT_YET`, `CHECKSUM_WRONG`,
 * `BODY_TOO_LARGE` or `CANCELLED`.
 */
export async function downloadFile(options: DownloadFileOptions): Promise<void> {
  const { url, path, checksum, maxBytes = DEFAULT_DOWNLOAD_MAX_BYTES, fetch = globalThis.fetch } = options;
  const { timeoutMs = DEFAULT_DOWNLOAD_TIMEOUT_MS, signal } = options;
  const deadline = createDeadline(timeoutMs, signal);
  const partPath = `${path}.tmp`;
  try {
    const response = await openDownload(fetch, url, deadline.signal);
    await mkdir(dirname(path), { recursive: true });
    const file = await open(partPath, "w");
    try {
      checkChecksum(url, checksum, await writeBody(response, file, maxBytes));
    } finally {
      await file.close();
    }
    await rename(partPath, path);
  } catch (error) {
    await rm(partPath, { force: true });
    if (isGevulotError(error)) throw error;
    if (signal?.aborted) throw cancelled(`the download of ${url}`, signal);
    if (deadline.isOver()) throw downloadFailed(url, null, `it took more than ${timeoutMs} ms`, error);
    throw downloadFailed(url, null, reasonOf(error), error);
  }
}

/** Gives the checksum. */
async function writeBody(response: Response, file: FileHandle, maxBytes: number): Promise<string> {
  const hasher = new Blake3Hasher();
  for await (const chunk of readBody(response, maxBytes)) {
    hasher.update(chunk);
    await file.writeFile(chunk);
  }
  await file.sync();
  return hasher.digest("hex");
}
