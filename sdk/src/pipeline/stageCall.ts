import { sha256 } from "@noble/hashes/sha2.js";
import { GevulotError } from "../errors.ts";
import { concatBytes } from "../protocol/bytes.ts";
import { bytesToHex } from "../protocol/hex.ts";
import { cancelled } from "../transport/cancelled.ts";
import { createIdleWatch, type IdleWatch } from "../transport/idleWatch.ts";
import { reasonOf } from "../transport/openDownload.ts";
import { readBody } from "../transport/readBody.ts";
import { callText } from "./callText.ts";
import type { EthereumSigner } from "./ethereumKey.ts";

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
  readonly getSigner: () => Promise<EthereumSigner>;
  /** How long nothing may come of an answer; sent data adds its own time. */
  readonly timeoutMs: number;
  readonly fetch: typeof globalThis.fetch;
}

export interface StageRequest {
  readonly method: "GET" | "POST" | "PUT";
  /** With the query. */
  readonly path: string;
  readonly body?: Uint8Array;
  readonly signal?: AbortSignal | undefined;
}

/** A line that is slower than this is taken for broken while it sends. */
const LEAST_BYTES_PER_MS = 128;

/** One signed call of a stage's HTTP API: its answer's body. Throws `CANNOT_REACH_STAGE`, `STAGE_REFUSED`, `CANCELLED`. */
export async function callStage(options: StageCallOptions, request: StageRequest): Promise<Uint8Array> {
  const { method, path, body, signal } = request;
  // Browsers refuse a fetch that is called as another object's method.
  const { fetch } = options;
  const signer = await options.getSigner();
  const seconds = Math.floor(Date.now() / 1_000);
  const bodyHash = bytesToHex(sha256(body ?? new Uint8Array()));
  const signature = await signer.sign(callText({ method, path, seconds, bodyHash }));
  const url = `${options.url.replace(/\/+$/, "")}${path}`;
  const limitMs = options.timeoutMs + Math.ceil((body?.length ?? 0) / LEAST_BYTES_PER_MS);
  const idle = createIdleWatch(limitMs, signal ?? new AbortController().signal);
  try {
    const response = await fetch(url, {
      method,
      headers: { authorization: `EIP191 ${seconds}:${signature}` },
      signal: idle.signal,
      ...(body !== undefined && { body: body as BodyInit }),
    });
    const answer = await readAnswer(response, idle);
    if (response.ok) return answer;
    throw refusal(url, response.status, answer);
  } catch (error) {
    if (error instanceof GevulotError) throw error;
    if (signal?.aborted) throw cancelled("the stage", signal);
    throw cannotReach(options.url, url, idle.signal.aborted ? idle.signal.reason : error);
  } finally {
    idle.stop();
  }
}

/** Likewise, of a call that is answered in JSON. */
export async function askStage<T>(options: StageCallOptions, request: StageRequest): Promise<T> {
  const answer = await callStage(options, request);
  try {
    return JSON.parse(new TextDecoder().decode(answer)) as T;
  } catch {
    const noStage = new Error("what answers is no stage");
    throw cannotReach(options.url, `${options.url}${request.path}`, noStage);
  }
}

async function readAnswer(response: Response, idle: IdleWatch): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of readBody(response, Number.POSITIVE_INFINITY)) {
    idle.touch();
    pieces.push(piece);
  }
  return concatBytes(pieces);
}

function cannotReach(stage: string, url: string, cause: unknown): GevulotError<"CANNOT_REACH_STAGE"> {
  const reason = reasonOf(cause);
  return new GevulotError(
    "CANNOT_REACH_STAGE",
    `Can't reach the stage at ${stage} (${reason}). Check that it runs and has api_addr in its configuration.`,
    { context: { url, reason }, cause },
  );
}

function refusal(url: string, status: number, body: Uint8Array): GevulotError<"STAGE_REFUSED"> {
  const answer = parseRefusal(new TextDecoder().decode(body));
  const reason = answer.error ?? `HTTP status ${status}`;
  return new GevulotError("STAGE_REFUSED", `The stage refused: ${reason}.`, {
    context: { url, status, reason, missing: answer.missing ?? [] },
  });
}

function parseRefusal(text: string): { readonly error?: string; readonly missing?: readonly string[] } {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}
