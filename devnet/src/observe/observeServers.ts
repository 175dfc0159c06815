import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { HostPort } from "../hostPort.ts";
import { closeServer, type ListenOptions, listen } from "../listen.ts";
import type { MetricsText } from "./metrics.ts";

export interface HealthServer extends AsyncDisposable {
  readonly port: number;
  /** From now on the node is shutting down. */
  stopping(): void;
}

const CHECK_TIMEOUT_MS = 5_000;

/**
 * Protocol section 10. `/healthz`: 200 alive, 204 shutting down, 503 in trouble. `/ready`: 204, or 503 before the start
 * is done, while shutting down and in trouble.
 */
export async function createHealthServer(
  checks: {
    /** Rejects where the node can't do its work now. */
    readonly check: () => Promise<void>;
    readonly isStarted: () => boolean;
  },
  options: HostPort,
): Promise<HealthServer> {
  let isStopping = false;
  const isWell = async (): Promise<boolean> => {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error("no answer")), CHECK_TIMEOUT_MS);
    });
    return Promise.race([checks.check(), late])
      .then(
        () => true,
        () => false,
      )
      .finally(() => clearTimeout(timer));
  };
  const server = createServer(async (request, response) => {
    if (request.url === "/healthz") {
      if (isStopping) status(response, 204);
      else if (await isWell()) status(response, 200, "ok");
      else status(response, 503, "the database can't be reached");
    } else if (request.url === "/ready") {
      status(response, !isStopping && checks.isStarted() && (await isWell()) ? 204 : 503);
    } else status(response, 404, "GET /healthz or /ready");
  });
  await listen(server, { ...options, flag: "--http-healthcheck-listen-addr" });
  return {
    port: (server.address() as AddressInfo).port,
    stopping() {
      isStopping = true;
    },
    [Symbol.asyncDispose]: () => closeServer(server),
  };
}

export interface MetricsServer extends AsyncDisposable {
  readonly port: number;
}

/** Prometheus text at every path. */
export async function createMetricsServer(
  metrics: MetricsText,
  options: ListenOptions,
): Promise<MetricsServer> {
  const server = createServer((_, response) => {
    metrics.text().then(
      (text) => response.writeHead(200, { "content-type": metrics.contentType }).end(text),
      () => status(response, 500),
    );
  });
  await listen(server, options);
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: () => closeServer(server),
  };
}

function status(response: ServerResponse, code: number, text = ""): void {
  response
    .writeHead(code, text ? { "content-type": "text/plain" } : {})
    .end(text === "" ? undefined : `${text}\n`);
}
