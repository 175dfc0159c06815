import { isGevulotError } from "../errors.ts";
import { cancelled } from "../transport/cancelled.ts";
import { delay } from "../transport/deadline.ts";
import { createIdleWatch, type IdleWatch } from "../transport/idleWatch.ts";
import { reasonOf } from "../transport/openDownload.ts";
import { tokenHeader, tokenRefused, UNAUTHORIZED } from "../transport/tokenRefused.ts";
import type { ClientContext } from "./context.ts";
import { needLocal, type PutAnswer } from "./platform.ts";
import type { OnBytes } from "./progress.ts";
import { uploadFailed } from "./uploadTarget.ts";

/** The node hashes a file when it has it, before it answers. */
const IDLE_TIMEOUT_MS = 120_000;
const BUSY = 503;
const MAX_BUSY = 20;
const BUSY_PAUSE_MS = 3_000;

export interface Upload {
  /** A path, or bytes. */
  readonly content: string | Uint8Array;
  readonly url: string;
  readonly onBytes: OnBytes | undefined;
  readonly signal: AbortSignal | undefined;
}

/**
 * Puts a file where the node keeps it, unless it is there already. Throws `UPLOAD_FAILED`, `TOKEN_REFUSED`,
 * `FILE_UNREADABLE` or `CANCELLED`.
 */
export async function uploadFile(context: ClientContext, upload: Upload): Promise<void> {
  const { url, signal = new AbortController().signal } = upload;
  for (let busy = 0; ; busy++) {
    const idle = createIdleWatch(IDLE_TIMEOUT_MS, signal);
    try {
      const { status, text } = await putUnlessThere(context, upload, idle);
      if (status === 200 || status === 201) return;
      if (status === UNAUTHORIZED) throw tokenRefused(url, context.files.accessToken);
      if (status !== BUSY || busy >= MAX_BUSY)
        throw uploadFailed(url, status, `the node answered ${status}, ${text.trim()}`);
      await delay(BUSY_PAUSE_MS, signal);
    } catch (error) {
      if (signal.aborted) throw cancelled(`the upload to ${url}`, signal);
      if (isGevulotError(error)) throw error;
      const reason = reasonOf(idle.signal.aborted ? idle.signal.reason : error);
      throw uploadFailed(url, null, `${reason}. Check that the node's file server can be reached`, error);
    } finally {
      idle.stop();
    }
  }
}

async function putUnlessThere(
  context: ClientContext,
  { content, url, onBytes }: Upload,
  idle: IdleWatch,
): Promise<PutAnswer> {
  const { signal } = idle;
  const head = await context.fetch(url, { method: "HEAD", signal });
  await head.body?.cancel();
  if (head.status === 200) return { status: 200, text: "" };
  const headers = tokenHeader(context.files.accessToken);
  if (typeof content === "string") {
    const local = needLocal(context.platform, "Uploading a file");
    const onSent: OnBytes = (done, total) => {
      idle.touch();
      onBytes?.(done, total);
    };
    return local.putFile({ path: content, url, headers, onBytes: onSent, signal });
  }
  const response = await context.fetch(url, { method: "PUT", headers, body: content as BodyInit, signal });
  onBytes?.(content.length, content.length);
  return { status: response.status, text: await response.text() };
}
