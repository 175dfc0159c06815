import { GevulotError, isGevulotError } from "../errors.ts";
import { concatBytes } from "../protocol/bytes.ts";
import { parseJson } from "../protocol/json/parseJson.ts";
import { stringifyJson } from "../protocol/json/stringifyJson.ts";
import { parseRpcReply } from "../protocol/rpc/rpcReply.ts";
import { cancelled } from "./cancelled.ts";
import { createDeadline, type Deadline, delay } from "./deadline.ts";
import { reasonOf } from "./openDownload.ts";
import { readBody } from "./readBody.ts";
import { readRpcResult } from "./readRpcResult.ts";
import { refused } from "./refused.ts";
import { tokenHeader, tokenRefused, UNAUTHORIZED } from "./tokenRefused.ts";

declare module "../errors.ts" {
  interface ErrorContexts {
    /** No answer: the connection failed, broke, or took too long. `reason` is `ECONNREFUSED`, `timeout` and the like. */
    CANNOT_REACH_NODE: { url: string; method: string; reason: string };
    /** Something answered that does not speak the protocol. `status` is HTTP's. */
    NODE_ANSWER_INVALID: { url: string; method: string; status: number; problem: string };
  }
}

export interface HttpTransportOptions {
  readonly url: string;
  /** For one attempt. */
  readonly timeoutMs: number;
  /** How often a safe call is tried again where the node can't be reached; others only where nothing was sent. */
  readonly retries: number;
  readonly maxReplyBytes: number;
  readonly accessToken?: string | undefined;
}

export interface CallOptions<T> {
  /** Reads what follows `Ok`; what it throws makes the answer an invalid one. */
  readonly parse: (value: unknown) => T;
  /** Whether the call may be made twice without harm. */
  readonly isSafe: boolean;
  readonly timeoutMs?: number;
  readonly retries?: number;
  readonly signal?: AbortSignal | undefined;
}

/** Calls a node's JSON-RPC. */
export interface Transport {
  readonly url: string;
  /**
   * Gives what follows `Ok`, as `parse` makes it. Throws `CANNOT_REACH_NODE`, `NODE_ANSWER_INVALID`, `BODY_TOO_LARGE`,
   * `RPC_CALL_INVALID`, `REFUSED`, `TOKEN_REFUSED` or `CANCELLED`. Without a parameter where that is undefined.
   */
  call<T>(method: string, parameter: unknown, options: CallOptions<T>): Promise<T>;
}

const FIRST_RETRY_MS = 100;
const MAX_RETRY_MS = 2_000;
/** The call was not taken at all. */
const TOO_MANY = 429;
/** Answers of proxies in front of a node that is away for the moment; the call may have reached it. */
const AWAY_STATUSES: readonly number[] = [502, 503, 504];
const EXCERPT_CHARS = 200;
/** What Node's fetch fails with before a byte was sent. Browsers don't tell. */
const NOT_SENT_REASONS: readonly string[] = [
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
];

export function createHttpTransport(
  deps: { readonly fetch: typeof globalThis.fetch },
  options: HttpTransportOptions,
): Transport {
  const { url } = options;
  return {
    url,
    async call(method, parameter, call) {
      const { isSafe, signal, timeoutMs = options.timeoutMs, retries = options.retries } = call;
      const params = parameter === undefined ? [] : [parameter];
      const body = stringifyJson({ jsonrpc: "2.0", id: 1, method, params });
      const attempt = { ...options, ...deps, method, body, timeoutMs, signal };
      for (let failures = 0; ; failures++) {
        try {
          return await callOnce(attempt, call.parse);
        } catch (error) {
          if (failures >= retries || !mayTryAgain(error, isSafe)) throw error;
        }
        await pause(failures, method, signal);
      }
    },
  };
}

interface Attempt {
  readonly fetch: typeof globalThis.fetch;
  readonly url: string;
  readonly method: string;
  readonly body: string;
  readonly timeoutMs: number;
  readonly maxReplyBytes: number;
  readonly accessToken?: string | undefined;
  readonly signal: AbortSignal | undefined;
}

async function callOnce<T>(attempt: Attempt, parse: (value: unknown) => T): Promise<T> {
  const { fetch, url, method, body, signal } = attempt;
  if (signal?.aborted) throw cancelled(`the node's answer to ${method}`, signal);
  const deadline = createDeadline(attempt.timeoutMs, signal);
  try {
    const headers = { "content-type": "application/json", ...tokenHeader(attempt.accessToken) };
    const response = await fetch(url, { method: "POST", headers, body, signal: deadline.signal });
    return await readReply(response, attempt, parse);
  } catch (error) {
    if (isGevulotError(error)) throw error;
    if (signal?.aborted) throw cancelled(`the node's answer to ${method}`, signal);
    throw cannotReach(attempt, deadline, error);
  }
}

async function readReply<T>(response: Response, attempt: Attempt, parse: (value: unknown) => T): Promise<T> {
  const { url, method, maxReplyBytes } = attempt;
  const { status } = response;
  const chunks: Uint8Array[] = [];
  for await (const chunk of readBody(response, maxReplyBytes)) chunks.push(chunk);
  if (status === UNAUTHORIZED) throw tokenRefused(url, attempt.accessToken);
  const invalid = (problem: string, cause?: unknown) =>
    new GevulotError(
      "NODE_ANSWER_INVALID",
      `${url} answered ${method} with HTTP status ${status} and ${problem}. Check that it is a Gevulot node's JSON-RPC address.`,
      { context: { url, method, status, problem }, cause },
    );
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(concatBytes(chunks));
    if (status === TOO_MANY)
      throw invalid(`the advice to come again later (${text.slice(0, EXCERPT_CHARS)})`);
    const reply = parseRpcReply(readRpcResult(method, parseJson(text, { maxChars: maxReplyBytes })));
    if (reply.ok) return parse(reply.value);
    throw refused(method, reply.error);
  } catch (error) {
    const isTold: readonly string[] = ["RPC_CALL_INVALID", "REFUSED", "NODE_ANSWER_INVALID"];
    if (isGevulotError(error) && isTold.includes(error.code)) throw error;
    const problem = isGevulotError(error, "JSON_INVALID")
      ? "a body that is not JSON"
      : "a body that is not an answer";
    throw invalid(`${problem} (${error instanceof Error ? error.message : String(error)})`, error);
  }
}

function cannotReach(
  attempt: Attempt,
  deadline: Deadline,
  cause: unknown,
): GevulotError<"CANNOT_REACH_NODE"> {
  const { url, method, timeoutMs } = attempt;
  const reason = deadline.isOver() ? "timeout" : reasonOf(cause);
  const problem = reason === "timeout" ? `no answer within ${timeoutMs} ms` : reason;
  return new GevulotError(
    "CANNOT_REACH_NODE",
    `Can't reach the node at ${url} for ${method}: ${problem}. Check that it runs and that the address is right.`,
    { context: { url, method, reason }, cause },
  );
}

function mayTryAgain(error: unknown, isSafe: boolean): boolean {
  if (isGevulotError(error, "CANNOT_REACH_NODE"))
    return isSafe || NOT_SENT_REASONS.includes(error.context.reason);
  if (!isGevulotError(error, "NODE_ANSWER_INVALID")) return false;
  return error.context.status === TOO_MANY || (isSafe && isAmbiguous(error));
}

/** Whether the node may have done what was asked, though its answer did not come. */
export function isAmbiguous(error: unknown): boolean {
  if (isGevulotError(error, "CANNOT_REACH_NODE")) return !NOT_SENT_REASONS.includes(error.context.reason);
  return isGevulotError(error, "NODE_ANSWER_INVALID") && AWAY_STATUSES.includes(error.context.status);
}

async function pause(failures: number, method: string, signal: AbortSignal | undefined): Promise<void> {
  const ms = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** failures);
  const never = new AbortController().signal;
  await delay(ms, signal ?? never).catch(() => {
    throw cancelled(`the node's answer to ${method}`, signal ?? never);
  });
}
