import {
  createServer,
  request as forward,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
} from "node:http";
import { pipeline } from "node:stream/promises";
import { createStack } from "../disposeStack.ts";
import { readAccessToken } from "../http/accessToken.ts";
import { createGate } from "../http/gate.ts";
import { closeServer, listen } from "../listen.ts";

export interface GatewayOptions {
  readonly host: string;
  /** Of the first node's RPC; its files are on the next, and so on with the other nodes. */
  readonly port: number;
  /** With what calls and uploads want; needed where `host` is more than this machine, unless `allowOpen`. */
  readonly tokenFile?: string | undefined;
  readonly allowOpen?: boolean;
}

export interface GatewayTarget {
  readonly rpcUrl: string;
  readonly httpUrl: string;
}

/**
 * Makes the nodes of a devnet, which listen on this machine alone, reachable from beyond it: out of a container, for
 * instance. Throws `RPC_UNPROTECTED`, `ACCESS_TOKEN_INVALID`, `PORT_TAKEN` and `CANNOT_LISTEN`.
 */
export async function createGateway(
  nodes: readonly GatewayTarget[],
  options: GatewayOptions,
): Promise<AsyncDisposable> {
  const { host, port, tokenFile, allowOpen: allowOpenRpc = false } = options;
  const token = await readAccessToken({ host, tokenFile, allowOpenRpc });
  const gate = createGate({
    corsOrigins: [],
    allowedHosts: token === null ? [host] : null,
    token,
    callsPerSecond: null,
  });
  await using stack = createStack();
  const doors = nodes.flatMap(({ rpcUrl, httpUrl }) => [
    { url: rpcUrl, isFiles: false },
    { url: httpUrl, isFiles: true },
  ]);
  for (const [index, { url, isFiles }] of doors.entries()) {
    const server = createServer((request, response) => {
      const isPublic = isFiles && (request.method === "GET" || request.method === "HEAD");
      if (gate.admits(request, response, { isPublic })) pass(url, request, response);
    });
    stack.defer(() => closeServer(server));
    await listen(server, { host, port: port + index, flag: "--gateway" });
  }
  return stack.move();
}

/** As it is, streams too; the node sees a call of its own machine. */
function pass(url: string, request: IncomingMessage, response: ServerResponse): void {
  const target = new URL(url);
  const inner = forward({
    host: target.hostname,
    port: target.port,
    method: request.method,
    path: request.url,
    headers: { ...withoutOrigin(request.headers), host: target.host },
  });
  inner.on("error", (error) => {
    // An answer that has begun is the node's: one that refuses an upload cuts it.
    if (response.headersSent) return;
    response.writeHead(502, { "content-type": "text/plain" });
    response.end(`the node can't be reached: ${error.message}\n`);
  });
  inner.once("response", (answer) => {
    if (response.headersSent) return void answer.resume();
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    // Headers of a stream of events come long before its first.
    response.flushHeaders();
    pipeline(answer, response).catch(() => response.destroy());
  });
  response.once("close", () => inner.destroy());
  // What goes wrong on the way shows as an error of `inner`.
  pipeline(request, inner).catch(() => {});
}

/** The gate has looked at it; nor is the token the node's. */
function withoutOrigin({
  origin: _,
  authorization: __,
  ...headers
}: IncomingHttpHeaders): IncomingHttpHeaders {
  return headers;
}
