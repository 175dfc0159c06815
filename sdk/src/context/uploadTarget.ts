import { GevulotError, isGevulotError } from "../errors.ts";
import { expectObject, ownField } from "../protocol/json/jsonCodec.ts";
import { jsonString } from "../protocol/json/leaves.ts";
import type { ClientContext } from "./context.ts";

declare module "../errors.ts" {
  interface ErrorContexts {
    /** `status` is null where there was no answer, or nobody to ask. */
    UPLOAD_FAILED: { url: string; status: number | null };
  }
}

/** Where files are put, and under which address a transaction names them; both without a slash at the end. */
export interface UploadTarget {
  readonly putUrl: string;
  readonly nameUrl: string;
}

const METHOD_NOT_FOUND = -32601;
const LOOPBACK = /^(localhost|127(\.\d+){3}|\[?::1\]?)$/;
const WILDCARD = /^(0\.0\.0\.0|\[?::\]?)$/;

/**
 * Decides how local files come to the node: null where the client serves them. By itself it uploads only where serving
 * can't work, from a browser, or to a node on another machine that was given no address of this one; and the node must
 * take uploads. Throws `UPLOAD_FAILED` where an upload is asked for and not possible.
 */
export async function findUploadTarget(
  context: ClientContext,
  signal: AbortSignal | undefined,
): Promise<UploadTarget | null> {
  const { mode, uploadUrl, fileHost } = context.files;
  const rpc = new URL(context.transport.url);
  if (mode === "serve") return null;
  const isBrowser = context.platform.local === null;
  if (mode === "auto" && !isBrowser) {
    const isReachable = !LOOPBACK.test(fileHost.advertise ?? fileHost.host ?? "localhost");
    if (isReachable || LOOPBACK.test(rpc.hostname)) return null;
  }
  const server = await getFileServer(context, signal);
  const url = server && new URL(server.url);
  // A node that listens everywhere says so; the client knows at which address it was reached.
  const isOwn = url !== null && WILDCARD.test(url.hostname);
  if (isOwn) url.hostname = rpc.hostname;
  const nameUrl = (url?.href ?? uploadUrl ?? "").replace(/\/+$/, "");
  const canPut = uploadUrl !== undefined || (server?.takesUploads ?? false);
  if (canPut) return { putUrl: (uploadUrl ?? nameUrl).replace(/\/+$/, ""), nameUrl };
  if (mode === "auto" && !isBrowser) return null;
  const problem =
    server === null ? "has no file store" : "takes no uploads without an access token of its own";
  throw uploadFailed(
    rpc.href,
    null,
    `the node ${problem}. Give URLs and checksums instead, or serve the files`,
  );
}

/** Null on a node that lacks this extension of the protocol. */
async function getFileServer(
  context: ClientContext,
  signal: AbortSignal | undefined,
): Promise<{ url: string; takesUploads: boolean } | null> {
  try {
    return await context.transport.call("getFileServer", undefined, {
      parse: (value) => {
        const fields = expectObject(value, "");
        const url = jsonString.fromJson(ownField(fields, "url"), "url");
        return { url: new URL(url).href, takesUploads: ownField(fields, "takesUploads") === true };
      },
      isSafe: true,
      signal,
    });
  } catch (error) {
    if (isGevulotError(error, "RPC_CALL_INVALID") && error.context.rpcCode === METHOD_NOT_FOUND) return null;
    throw error;
  }
}

export function uploadFailed(
  url: string,
  status: number | null,
  problem: string,
  cause?: unknown,
): GevulotError<"UPLOAD_FAILED"> {
  return new GevulotError("UPLOAD_FAILED", `Can't upload to ${url}: ${problem}.`, {
    context: { url, status },
    cause,
  });
}
