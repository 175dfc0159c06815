import { checkNotPartial, downloadFailed, openDownload, requestFile } from "./openDownload.ts";

/** What a server says of the rest of a file. */
export interface OpenedRange {
  /** Null where the file has no more bytes than one has. */
  readonly response: Response | null;
  /** At which byte of the file the body begins: where it was asked to, or 0. */
  readonly start: number;
  /** Of the whole file, if it is a strong one. */
  readonly etag: string | null;
}

/**
 * Asks for a file from a byte on. A server that knows no ranges, or has another file by now than the one of `etag`,
 * sends it whole. Throws as `openDownload` does.
 */
export async function openRange(
  fetch: typeof globalThis.fetch,
  url: string,
  from: { readonly start: number; readonly etag: string | null },
  signal: AbortSignal,
): Promise<OpenedRange> {
  if (from.start === 0) return whole(await openDownload(fetch, url, signal));
  const headers = {
    range: `bytes=${from.start}-`,
    ...(from.etag === null ? {} : { "if-range": from.etag }),
  };
  const response = await requestFile(fetch, url, { headers, signal });
  if (response.status === 200) return whole(response);
  const range = response.headers.get("content-range") ?? "";
  if (response.status === 206 && range.startsWith(`bytes ${from.start}-`)) {
    return { response, start: from.start, etag: strongEtag(response) };
  }
  await response.body?.cancel();
  if (response.status === 416) {
    if (range === `bytes */${from.start}`) return { response: null, start: from.start, etag: from.etag };
    return whole(await openDownload(fetch, url, signal));
  }
  checkNotPartial(url, response);
  throw downloadFailed(url, response.status, `the server answered ${response.status}`);
}

function whole(response: Response): OpenedRange {
  return { response, start: 0, etag: strongEtag(response) };
}

/** A weak one (`W/"…"`) says that files mean the same, not that they have the same bytes. */
function strongEtag(response: Response): string | null {
  const etag = response.headers.get("etag");
  return etag?.startsWith('"') ? etag : null;
}
