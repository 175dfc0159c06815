import { GevulotError } from "../errors.ts";

declare module "../errors.ts" {
  interface ErrorContexts {
    BODY_TOO_LARGE: { url: string; maxBytes: number };
  }
}

/**
 * The body of a response, chunk by chunk, at most `maxBytes` of it: throws `BODY_TOO_LARGE` as soon as it is known to
 * be longer. `haveBytes` are those that came before. Ends the response when the reader stops early.
 */
export async function* readBody(
  response: Response,
  maxBytes: number,
  haveBytes = 0,
): AsyncGenerator<Uint8Array, void> {
  const announced = haveBytes + Number(response.headers.get("content-length") ?? 0);
  if (announced > maxBytes) {
    await response.body?.cancel();
    throw tooLarge(response, maxBytes);
  }
  if (response.body === null) return;
  const reader = response.body.getReader();
  let ended = false;
  let receivedBytes = haveBytes;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      receivedBytes += value.length;
      if (receivedBytes > maxBytes) throw tooLarge(response, maxBytes);
      yield value;
    }
    ended = true;
  } finally {
    if (!ended) await reader.cancel().catch(() => {});
  }
}

function tooLarge(response: Response, maxBytes: number): GevulotError<"BODY_TOO_LARGE"> {
  return new GevulotError(
    "BODY_TOO_LARGE",
    `${response.url} sends more than the limit of ${maxBytes} bytes; raise the limit if that is right.`,
    { context: { url: response.url, maxBytes } },
  );
}
