import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { closeServer, listen } from "../../listen.ts";
import { splitAddress } from "../wire/splitAddress.ts";
import type { PipelineMetrics } from "./pipelineMetrics.ts";

/** Prometheus text on any path, as the existing service answers. */
export async function createMetricsEndpoint(
  metrics: PipelineMetrics,
  addr: string,
): Promise<AsyncDisposable & { readonly port: number }> {
  const server = createServer((_, response) => {
    metrics.text().then(
      (text) => response.writeHead(200, { "content-type": metrics.contentType }).end(text),
      () => response.writeHead(500).end(),
    );
  });
  await listen(server, { ...splitAddress(addr), flag: "metrics_addr" });
  const { port } = server.address() as AddressInfo;
  return { port, [Symbol.asyncDispose]: () => closeServer(server) };
}
