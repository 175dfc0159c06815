import { GevulotError } from "../errors.ts";

declare module "../errors.ts" {
  interface ErrorContexts {
    /** `status` is null where there was no answer. */
    DOWNLOAD_FAILED: { url: string; status: number | null };
    /** The server has the file only in part: try again later. */
    DOWNLOAD_NOT_YET: { url: string };
    CHECKSUM_WRONG: { url: string; expected: string; actual: string };
  }
}

/** Asks for a file. Throws `DOWNLOAD_FAILED`, or `DOWNLOAD_NOT_YET` for a 206 without Content-Range (protocol section 6). */
export async function openDownload(
  fetch: typeof globalThis.fetch,
  url: string,
  signal: AbortSignal,
): Promise<Response> {
  const response = await requestFile(fetch, url, { signal });
  if (response.status === 200) return response;
  await response.body?.cancel();
  checkNotPartial(url, response);
  throw downloadFailed(url, response.status, `the server answered ${response.status}`);
}

/** Whatever the answer is. Throws `DOWNLOAD_FAILED` where there is none. */
export async function requestFile(
  fetch: typeof globalThis.fetch,
  url: string,
  init: { readonly headers?: Record<string, string>; readonly signal: AbortSignal },
): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (cause) {
    if (init.signal.aborted) throw cause;
    throw downloadFailed(url, null, `it can't be reached (${reasonOf(cause)})`, cause);
  }
}

/** Throws `DOWNLOAD_NOT_YET`. */
export function checkNotPartial(url: string, response: Response): void {
  if (response.status !== 206) return;
  throw new GevulotError(
    "DOWNLOAD_NOT_YET",
    `${url} is still being written at its node; try again in a moment.`,
    { context: { url } },
  );
}

export function downloadFailed(
  url: string,
  status: number | null,
  problem: string,
  cause?: unknown,
): GevulotError<"DOWNLOAD_FAILED"> {
  return new GevulotError("DOWNLOAD_FAILED", `Can't download ${url}: ${problem}.`, {
    context: { url, status },
    cause,
  });
}

/** Throws `CHECKSUM_WRONG`. */
export function checkChecksum(url: string, expected: string, actual: string): void {
  if (actual === expected.toLowerCase()) return;
  throw new GevulotError(
    "CHECKSUM_WRONG",
    `${url} has the BLAKE3 checksum ${actual}, not ${expected}; it is another file, or it was changed on its way.`,
    { context: { url, expected, actual } },
  );
}

/** The most telling words that a failed fetch has: its cause's code, as `ECONNREFUSED`, or its message. */
export function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (cause instanceof Error && "code" in cause && typeof cause.code === "string") return cause.code;
  return cause instanceof Error ? cause.message : String(cause);
}
