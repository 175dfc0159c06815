import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { isGevulotError } from "gevulot-sdk";
import { errReplyToWire, okReplyToWire, parseJson, stringifyJson } from "gevulot-sdk/protocol";
import jayson from "jayson";
import type { Logger } from "pino";
import type { EventServer } from "../events/eventServer.ts";
import type { Gate } from "../http/gate.ts";
import { closeServer, listen } from "../listen.ts";
import type { Metrics } from "../observe/metrics.ts";
import { errorToWire } from "./errorToWire.ts";
import type { Method } from "./method.ts";

export interface RpcServer extends AsyncDisposable {
  readonly port: number;
}

export interface RpcServerOptions {
  readonly host: string;
  readonly port: number;
  readonly maxBodyBytes: number;
}

export interface RpcServerDeps {
  readonly log: Logger;
  readonly methods: Record<string, Method>;
  /** Answers GETs of its own paths. */
  readonly events?: EventServer;
  /** Who may call; without it everybody. */
  readonly gate?: Gate;
  readonly metrics?: Pick<Metrics, "rpcAnswered">;
}

const MAX_BATCH_LENGTH = 100;
/** A body must arrive within this time; a call itself may take as long as its downloads. */
const REQUEST_TIMEOUT_MS = 120_000;
const PARSE_ERROR = -32700;
const INVALID_REQUEST = -32600;
const INVALID_PARAMS = -32602;

/**
 * JSON-RPC 2.0 over HTTP POST. Jayson dispatches; the listener is ours, because it bounds the body and reads nonces
 * without loss.
 */
export async function createRpcServer(deps: RpcServerDeps, options: RpcServerOptions): Promise<RpcServer> {
  const methods = new Map(
    Object.entries(deps.methods).map(
      ([name, method]) => [name, new jayson.Method(handlerOf(deps, name, method))] as const,
    ),
  );
  // By a router, as jayson takes no method of its own named rpc.discover.
  const router = (name: string) => methods.get(name) as jayson.Method;
  const rpc = new jayson.Server({}, { router, maxBatchLength: MAX_BATCH_LENGTH });
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
    if (deps.gate?.admits(request, response) === false) return;
    if (request.method === "GET" && deps.events?.serve(request, response)) return;
    answer(rpc, request, response, options.maxBodyBytes).catch((error: unknown) => {
      deps.log.error({ err: error }, "the RPC listener failed");
      response.destroy();
    });
  });
  await listen(server, { host: options.host, port: options.port, flag: "--json-rpc-listen-addr" });
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: () => closeServer(server),
  };
}

type Callback = (error: { code: number; message: string } | null, result?: unknown) => void;

function handlerOf({ log, metrics }: RpcServerDeps, name: string, method: Method) {
  return (params: unknown, done: Callback): void => {
    const startedAt = performance.now();
    const callback: Callback = (error, result) => {
      metrics?.rpcAnswered(name, (performance.now() - startedAt) / 1_000);
      done(error, result);
    };
    let parameter: unknown;
    try {
      parameter = method.parse(onlyParameter(params, method.parameter === null));
    } catch (error) {
      if (!isGevulotError(error) && !(error instanceof TypeError))
        log.error({ err: error }, "parameters broke the parser");
      callback({ code: INVALID_PARAMS, message: `Invalid params: ${(error as Error).message}` });
      return;
    }
    method.run(parameter).then(
      (value) => callback(null, method.bare ? value : okReplyToWire(value)),
      (error: unknown) => callback(null, errReplyToWire(errorToWire(log, error))),
    );
  };
}

function onlyParameter(params: unknown, none: boolean): unknown {
  const list = params ?? [];
  if (none && Array.isArray(list) && list.length === 0) return undefined;
  if (none) throw new TypeError("no parameter is wanted");
  if (Array.isArray(list) && list.length === 1) return list[0];
  throw new TypeError("exactly one positional parameter is wanted");
}

async function answer(
  rpc: jayson.Server,
  request: IncomingMessage,
  response: ServerResponse,
  maxBodyBytes: number,
): Promise<void> {
  if (request.method !== "POST") {
    response.setHeader("allow", "POST");
    return reply(response, 405, failure(INVALID_REQUEST, "Send JSON-RPC 2.0 calls by HTTP POST."));
  }
  const body = await readBody(request, maxBodyBytes);
  if (body === null) {
    response.setHeader("connection", "close");
    return reply(
      response,
      413,
      failure(INVALID_REQUEST, `The body is larger than ${maxBodyBytes} bytes, the limit of this node.`),
    );
  }
  let call: unknown;
  try {
    call = parseJson(body);
  } catch (error) {
    return reply(response, 200, failure(PARSE_ERROR, `Parse error: ${(error as Error).message}`));
  }
  // Jayson never answers a batch in a batch.
  if (Array.isArray(call) && call.some((element) => !isObject(element))) {
    return reply(response, 200, failure(INVALID_REQUEST, "Each element of a batch must be a call."));
  }
  const result = await new Promise<unknown>((resolve) => {
    rpc.call(call as jayson.JSONRPCRequestLike, (error: unknown, value: unknown) => resolve(error ?? value));
  });
  // A notification has no answer.
  if (result === undefined || result === null) response.writeHead(204).end();
  else reply(response, 200, result);
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** @returns null where the body is over the limit; the rest of it is not read. */
async function readBody(request: IncomingMessage, maxBytes: number): Promise<string | null> {
  if (Number(request.headers["content-length"] ?? 0) > maxBytes) return null;
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function failure(code: number, message: string): unknown {
  return { jsonrpc: "2.0", id: null, error: { code, message } };
}

function reply(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(stringifyJson(body));
}
