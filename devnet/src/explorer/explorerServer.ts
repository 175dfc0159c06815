import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { isGevulotError } from "gevulot-sdk";
import { createEventStreams } from "../events/eventStreams.ts";
import { isOwnHost } from "../http/origins.ts";
import { closeServer, listen } from "../listen.ts";
import type { ProblemView } from "./api.ts";
import { type ApiCall, createExplorerApi } from "./explorerApi.ts";
import { createLiveNetwork } from "./liveNetwork.ts";
import type { ExplorerNode } from "./nodeLink.ts";
import { type Asset, INDEX, PAGE_FOLDER, readAssets } from "./pageAssets.ts";
import { createViews } from "./readViews.ts";

export interface Explorer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
}

export interface ExplorerOptions {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Default 0: any that is free. */
  readonly port?: number;
  /** Names besides addresses and localhost by which it may be called. */
  readonly allowedHosts?: readonly string[];
  /** The option that sets this address, for an error's advice. Default --explorer-port. */
  readonly flag?: string;
  /** Where the built page is. */
  readonly pageFolder?: string;
}

const HEARTBEAT_MS = 15_000;
const MAX_STREAMS = 200;
const DEFAULT_HOST = "127.0.0.1";
/** The page's own addresses; each is the same page. */
const PAGE_PATH = /^\/(|runs|programs|search|runs\/[0-9a-f]{64}|programs\/[0-9a-f]{64})$/;

/** Nothing but this server's own script and style is loaded, and nothing but this server is asked. */
const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy": [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; "),
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "cache-control": "no-store",
};

/**
 * Serves a page that shows the network of these nodes, live. It only reads.
 * @throws GevulotError `PORT_TAKEN`, `CANNOT_LISTEN`
 */
export async function createExplorer(
  nodes: readonly ExplorerNode[],
  options: ExplorerOptions = {},
): Promise<Explorer> {
  const { host = DEFAULT_HOST, port = 0, allowedHosts = [], pageFolder = PAGE_FOLDER } = options;
  const { flag = "--explorer-port" } = options;
  const network = createLiveNetwork(nodes);
  const streams = createEventStreams({ heartbeatMs: HEARTBEAT_MS });
  const api = createExplorerApi({ network, views: createViews(network), streams });
  let assets: ReadonlyMap<string, Asset> | null = null;
  const server = createServer((request, response) => {
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.setHeader(name, value);
    const refusal = refusalOf(request, allowedHosts) ?? (streams.count >= MAX_STREAMS ? TOO_MANY : null);
    if (refusal !== null) return problem(response, ...refusal);
    const text = `http://explorer${request.url}`;
    if (!URL.canParse(text))
      return problem(response, 400, "EXPLORER_ADDRESS", "That is no address of a page.");
    const url = new URL(text);
    const answering = api({ url, request, response });
    if (answering !== null) return answer(response, answering);
    // Looked for again where it is missing: it may have been built meanwhile.
    assets ??= readAssets(pageFolder);
    servePage(assets, { url, request, response });
  });
  await listen(server, { host, port, flag });
  const { port: actual } = server.address() as AddressInfo;
  return {
    port: actual,
    url: `http://${host.includes(":") ? `[${host}]` : host}:${actual}`,
    async [Symbol.asyncDispose]() {
      network[Symbol.dispose]();
      streams[Symbol.dispose]();
      await closeServer(server);
    },
  };
}

type Refusal = readonly [status: number, code: string, message: string];

const TOO_MANY: Refusal = [503, "EXPLORER_BUSY", "Too many pages listen to this explorer. Close some."];

function refusalOf(request: IncomingMessage, allowedHosts: readonly string[]): Refusal | null {
  const { host, origin } = request.headers;
  if (!isOwnHost(host, allowedHosts)) {
    return [
      403,
      "EXPLORER_HOST",
      `This explorer is not called ${JSON.stringify(host ?? "")}. Call it by its address, or start it with this name in --allowed-hosts.`,
    ];
  }
  // Its own page asks without an Origin, or with this one.
  if (origin !== undefined && origin !== `http://${host}`)
    return [403, "EXPLORER_ORIGIN", "Pages of other origins can't use this explorer. Ask a node's RPC."];
  if (request.method !== "GET" && request.method !== "HEAD")
    return [405, "EXPLORER_METHOD", "This explorer only reads: GET or HEAD."];
  return null;
}

function answer(response: ServerResponse, answering: Promise<unknown>): void {
  answering.then(
    (value) => {
      if (value === undefined) return;
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify(value));
    },
    (error: unknown) => {
      if (response.headersSent) return void response.destroy();
      if (isGevulotError(error, "EXPLORER_NOT_FOUND")) problem(response, 404, error.code, error.message);
      else if (isGevulotError(error, "EXPLORER_QUERY_INVALID"))
        problem(response, 400, error.code, error.message);
      else if (isGevulotError(error)) problem(response, 502, error.code, error.message);
      else problem(response, 500, "EXPLORER_BROKE", `The explorer failed: ${error}`);
    },
  );
}

function problem(response: ServerResponse, status: number, code: string, message: string): void {
  const body: ProblemView = { code, message };
  if (status === 405) response.setHeader("allow", "GET, HEAD");
  response.removeHeader("content-disposition");
  response.setHeader("content-type", "application/json");
  response.writeHead(status).end(JSON.stringify(body));
}

function servePage(assets: ReadonlyMap<string, Asset> | null, { url, request, response }: ApiCall): void {
  if (assets === null) {
    const message = "The explorer's page is not built. Build it: npm run build";
    problem(response, 503, "EXPLORER_NOT_BUILT", message);
    return;
  }
  const isPage = PAGE_PATH.test(url.pathname);
  const asset = assets.get(isPage ? INDEX : url.pathname.replace(/^\/assets\//, ""));
  if (asset === undefined || (!isPage && !url.pathname.startsWith("/assets/"))) {
    problem(response, 404, "EXPLORER_NO_PAGE", "There is no such page. Begin at /");
    return;
  }
  const takesGzip = /\bgzip\b/.test(request.headers["accept-encoding"] ?? "");
  response.setHeader("vary", "Accept-Encoding");
  response.setHeader("content-type", asset.type);
  response.setHeader("cache-control", asset.isImmutable ? "public, max-age=31536000, immutable" : "no-cache");
  if (takesGzip) response.setHeader("content-encoding", "gzip");
  const body = takesGzip ? asset.gzip : asset.body;
  response.setHeader("content-length", body.length);
  response.end(request.method === "HEAD" ? undefined : body);
}
