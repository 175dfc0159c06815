import { createHash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { isAllowedOrigin, isOwnHost } from "./origins.ts";
import { createRateLimit } from "./rateLimit.ts";

export interface GateOptions {
  /** Origins besides those of this machine, as browsers write them: `https://app.example`. */
  readonly corsOrigins: readonly string[];
  /** Names besides addresses and localhost by which this node may be called; null for any. */
  readonly allowedHosts: readonly string[] | null;
  /** Wanted as `Authorization: Bearer …`; null where none is. */
  readonly token: string | null;
  /** Calls a second of one address; null for no limit. */
  readonly callsPerSecond: number | null;
}

export interface Gate {
  /**
   * Looks at a request before anything is done for it, and writes the CORS headers.
   * @returns false where it has answered: a preflight, or a refusal.
   */
  admits(
    request: IncomingMessage,
    response: ServerResponse,
    options?: { readonly isPublic?: boolean },
  ): boolean;
}

const PREFLIGHT_SECONDS = 600;
const METHODS = "GET, HEAD, POST, PUT";
const REQUEST_HEADERS = "authorization, content-type, last-event-id, range";
const RESPONSE_HEADERS = "content-length, content-range, retry-after";

/**
 * One door for RPC, events and files: a page of a foreign web site can't drive a node of this machine, nor does a stranger
 * without the token where there is one. `isPublic`: as files are, which need no token.
 */
export function createGate(options: GateOptions): Gate {
  const { corsOrigins, allowedHosts, token, callsPerSecond } = options;
  const rate = callsPerSecond === null ? null : createRateLimit({ perSecond: callsPerSecond });
  return {
    admits(request, response, { isPublic = false } = {}) {
      const { host, origin } = request.headers;
      if (allowedHosts !== null && !isOwnHost(host, allowedHosts)) {
        const advice = "Call it by its address, or start it with this name in --allowed-hosts.";
        return refuse(response, 403, `This node is not called ${JSON.stringify(host ?? "")}. ${advice}`);
      }
      if (origin !== undefined) {
        response.setHeader("vary", "Origin");
        // Also what needs no preflight: the answer would be hidden from the page, but the call would be done.
        if (!isAllowedOrigin(origin, host, corsOrigins)) {
          const advice = "Start the node with this origin in --cors-origins.";
          return refuse(response, 403, `Pages of ${JSON.stringify(origin)} may not use this node. ${advice}`);
        }
        response.setHeader("access-control-allow-origin", origin);
        response.setHeader("access-control-expose-headers", RESPONSE_HEADERS);
        if (request.method === "OPTIONS") return answerPreflight(request, response);
      }
      const waitMs = rate?.take(request.socket.remoteAddress ?? "") ?? 0;
      if (waitMs > 0) {
        response.setHeader("retry-after", String(Math.ceil(waitMs / 1_000)));
        return refuse(
          response,
          429,
          `More than ${callsPerSecond} calls a second. Come again in ${waitMs} ms.`,
        );
      }
      if (token === null || isPublic || hasToken(request, token)) return true;
      response.setHeader("www-authenticate", "Bearer");
      return refuse(
        response,
        401,
        "This node wants its access token: the header Authorization: Bearer <token>.",
      );
    },
  };
}

function answerPreflight(request: IncomingMessage, response: ServerResponse): false {
  response.setHeader("access-control-allow-methods", METHODS);
  response.setHeader("access-control-allow-headers", REQUEST_HEADERS);
  response.setHeader("access-control-max-age", String(PREFLIGHT_SECONDS));
  // Browsers ask for this where a public page calls a private address.
  if (request.headers["access-control-request-private-network"] === "true") {
    response.setHeader("access-control-allow-private-network", "true");
  }
  response.writeHead(204).end();
  return false;
}

function hasToken(request: IncomingMessage, token: string): boolean {
  const given = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? "")?.[1];
  return given !== undefined && timingSafeEqual(digest(given), digest(token));
}

/** Of one length, as the comparison wants it. */
function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

function refuse(response: ServerResponse, status: number, message: string): false {
  // The body, which may be large, is not read.
  response.setHeader("connection", "close");
  const body = { jsonrpc: "2.0", id: null, error: { code: -32_600, message } };
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  return false;
}
