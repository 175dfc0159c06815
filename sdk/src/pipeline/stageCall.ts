import { sha256 } from "@noble/hashes/sha2.js";
import { GevulotError } from "../errors.ts";
import { bytesToHex } from "../protocol/hex.ts";
import { cancelled } from "../transport/cancelled.ts";
import { createDeadline } from "../transport/deadline.ts";
import { callText } from "./callText.ts";
import type { EthereumKey } from "./ethereumKey.ts";

declare module "../errors.ts" {
  interface ErrorContexts {
    /** No answer from a stage of the proving pipeline. */
    CANNOT_REACH_STAGE: { url: string; reason: string };
    /** A stage understood and said no; `status` is HTTP's. */
    STAGE_REFUSED: { url: string; status: number; reason: string; missing: readonly string[] };
  }
}

export interface StageCallOptions {
  readonly url: string;
  readonly key: EthereumKey;
  readonly timeoutMs: number;
  readonly fetch: typeof globalThis.fetch;
}

export interface StageRequest {
  readonly method: "GET" | "POST" | "PUT";
  /** With the query. */
  readonly path: string;
  readonly body?: Uint8Array;
  /** Of data that is put. */
  readonly signal?: AbortSignal | undefined;
}

/** One signed call of a stage's HTTP API. Throws `CANNOT_REACH_STAGE`, `STAGE_REFUSED`, `CANCELLED`. */
export async function callStage(options: StageCallOptions, request: StageRequest): Promise<Response> {
  const { method, path, body } = request;
  const seconds = Math.floor(Date.now() / 1_000);
  const bodyHash = bytesToHex(sha256(body ?? new Uint8Array()));
  const text = callText({ method, path, seconds, bodyHash });
  const deadline = createDeadline(options.timeoutMs, request.signal);
  const url = `${options.url.replace(/\/+$/, "")}${path}`;
  let response: Response;
  try {
    response = await options.fetch(url, {
      method,
      headers: { authorization: `EIP191 ${seconds}:${options.key.sign(text)}` },
      signal: deadline.signal,
      ...(body !== undefined && { body: body as BodyInit }),
    });
  } catch (error) {
    if (request.signal?.aborted) throw cancelled("the stage", request.signal);
    const cause = error as Error & { cause?: { code?: string } };
    const reason = deadline.isOver()
      ? `no answer within ${options.timeoutMs} ms`
      : (cause.cause?.code ?? cause.message);
    throw new GevulotError(
      "CANNOT_REACH_STAGE",
      `Can't reach the stage at ${options.url} (${reason}). Check that it runs and has api_addr in its configuration.`,
      { context: { url, reason }, cause },
    );
  }
  if (response.ok) return response;
  throw await refusal(url, response);
}

async function refusal(url: string, response: Response): Promise<GevulotError<"STAGE_REFUSED">> {
  const answer = (await response.json().catch(() => ({}))) as { error?: string; missing?: string[] };
  const reason = answer.error ?? `HTTP status ${response.status}`;
  return new GevulotError("STAGE_REFUSED", `The stage refused: ${reason}.`, {
    context: { url, status: response.status, reason, missing: answer.missing ?? [] },
  });
}
