import { GevulotError } from "gevulot-sdk";
import { parseEventStream, type StreamEvent } from "./parseEventStream.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    EXPLORER_NODE_AWAY: { node: string };
    EXPLORER_NODE_REFUSED: { node: string; method: string };
    EXPLORER_NOT_FOUND: { what: string };
  }
}

/** A node that the explorer shows. */
export interface ExplorerNode {
  readonly name: string;
  readonly rpcUrl: string;
  /** Its access token, where it wants one. */
  readonly token?: string | undefined;
}

/** The way to a node. */
export interface NodeLink {
  readonly node: ExplorerNode;
  /**
   * Calls a method with one parameter, or none.
   * @throws GevulotError `EXPLORER_NODE_AWAY`, `EXPLORER_NOT_FOUND`, `EXPLORER_NODE_REFUSED`
   */
  call<T>(method: string, parameter?: unknown): Promise<T>;
  /** Server-Sent Events at a path, until the node ends them. Throws as `call` does. */
  events(path: string, signal: AbortSignal): AsyncIterable<StreamEvent>;
}

const CALL_TIMEOUT_MS = 15_000;
/** Longer than a node is silent. */
const SILENT_MS = 20_000;
/** A Proof of the largest size, in base64, and what is around it. */
const MAX_REPLY_BYTES = 64 * 2 ** 20;

export function createNodeLink(node: ExplorerNode): NodeLink {
  const headers: Record<string, string> = node.token ? { authorization: `Bearer ${node.token}` } : {};
  return {
    node,
    async call<T>(method: string, parameter?: unknown): Promise<T> {
      const params = parameter === undefined ? [] : [parameter];
      const response = await request(node, node.rpcUrl, {
        method: "POST",
        headers: { ...headers, "content-type": "application/json" },
        body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
        signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
      });
      const text = await readText(node, response);
      return readReply<T>(node, method, response.status, text);
    },
    async *events(path, signal) {
      const silence = new AbortController();
      const timer = setTimeout(() => silence.abort(), SILENT_MS);
      const signals = AbortSignal.any([signal, silence.signal]);
      try {
        const response = await request(node, new URL(path, node.rpcUrl).href, { headers, signal: signals });
        if (!response.ok || response.body === null) {
          await response.body?.cancel();
          if (response.status === 404) throw notFound(path);
          throw away(node, `it answers ${path} with HTTP ${response.status}`);
        }
        const heard = () => void timer.refresh();
        for await (const event of parseEventStream(response.body, heard)) yield event;
      } catch (error) {
        throw signal.aborted || error instanceof GevulotError ? error : away(node, reasonOf(error));
      } finally {
        clearTimeout(timer);
        silence.abort();
      }
    },
  };
}

async function request(node: ExplorerNode, url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, { ...init, redirect: "error" });
  } catch (error) {
    throw init.signal?.reason instanceof Error && init.signal.reason.name === "AbortError"
      ? error
      : away(node, reasonOf(error));
  }
}

async function readText(node: ExplorerNode, response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of response.body ?? []) {
      size += chunk.length;
      if (size > MAX_REPLY_BYTES) throw new Error(`its answer is larger than ${MAX_REPLY_BYTES} bytes`);
      chunks.push(chunk);
    }
  } catch (error) {
    throw away(node, reasonOf(error));
  }
  return Buffer.concat(chunks).toString("utf8");
}

function readReply<T>(node: ExplorerNode, method: string, status: number, text: string): T {
  const { name } = node;
  if (status === 401) throw away(node, "it wants its access token; give it with --access-token-file");
  let reply: { result?: { Ok?: T; Err?: unknown }; error?: { message?: string } };
  try {
    reply = JSON.parse(text);
  } catch {
    throw away(node, `it answers with HTTP ${status} and no JSON`);
  }
  const { result, error } = reply;
  if (typeof result === "object" && result !== null && "Ok" in result) return result.Ok as T;
  const problem = result?.Err ?? error?.message ?? `HTTP ${status}`;
  if (typeof problem === "object" && problem !== null && "NotFound" in problem)
    throw notFound(String(problem.NotFound));
  const said = typeof problem === "string" ? problem : JSON.stringify(problem);
  const message = `The node ${name} refused ${method}: ${said}. If it is older than this explorer, bring it up to date.`;
  throw new GevulotError("EXPLORER_NODE_REFUSED", message, { context: { node: name, method } });
}

export function notFound(what: string): GevulotError {
  return new GevulotError("EXPLORER_NOT_FOUND", what, { context: { what } });
}

function away(node: ExplorerNode, reason: string): GevulotError {
  const { name, rpcUrl } = node;
  return new GevulotError(
    "EXPLORER_NODE_AWAY",
    `The node ${name} at ${rpcUrl} does not answer: ${reason}. See whether it runs: gevulot-devnet status`,
    { context: { node: name } },
  );
}

function reasonOf(error: unknown): string {
  const { cause, message, name } = error as Error & { cause?: { code?: string; message?: string } };
  if (name === "TimeoutError") return `nothing came for ${CALL_TIMEOUT_MS / 1_000} s`;
  if (name === "AbortError") return `nothing came for ${SILENT_MS / 1_000} s`;
  return cause?.code ?? cause?.message ?? message;
}
