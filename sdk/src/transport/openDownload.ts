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
  let response: Response;
  try {
    response = await fetch(url, { signal });
  } catch (cause) {
    if (signal.aborted) throw cause;
    throw downloadFailed(url, null, `it can't be reached (${reasonOf(cause)})`, cause);
  }
  if (response.status === 200) return response;
  await response.body?.cancel();
  if (response.status === 206) {
    throw new GevulotError(
      "DOWNLOAD_NOT_YET",
      `${url} is still being written at its node; try again in a moment.`,
      {
        context: { url },
      },
    );
  }
  throw downloadFailed(url, response.status, `the server answered ${response.status}`);
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
