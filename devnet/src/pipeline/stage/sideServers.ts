import type { Logger } from "pino";
import { createStack } from "../../disposeStack.ts";
import { createMetricsServer } from "../../observe/observeServers.ts";
import type { PipelineConfig } from "../config.ts";
import type { SharedBase } from "../data/sharedBase.ts";
import type { PipelineMetrics } from "../observe/pipelineMetrics.ts";
import { readCertificate } from "../wire/credentials.ts";
import { listenAt } from "../wire/listenAt.ts";
import { createProofServer } from "./proofServer.ts";
import { createRunApi, type RunApiDeps } from "./runApi.ts";
import type { TakeRunOptions } from "./takeRun.ts";

/** Null where the configuration has no address for it. */
export interface SidePorts {
  readonly apiPort: number | null;
  readonly metricsPort: number | null;
  readonly filePort: number | null;
}

export interface SideServerDeps extends RunApiDeps {
  readonly log: Logger;
  readonly metrics: PipelineMetrics;
  readonly base: SharedBase;
}

/** What a stage serves beside gRPC: the HTTP API, the metrics, the finished proofs. */
export async function createSideServers(
  deps: SideServerDeps,
  options: TakeRunOptions,
  config: PipelineConfig,
): Promise<AsyncDisposable & { readonly ports: SidePorts }> {
  await using stack = createStack();
  const { api_addr: apiAddr, metrics_addr: metricsAddr, fileserver_addr: fileAddr } = config;
  const { fileserver_url: fileUrl } = config;
  if (fileUrl !== undefined && !/^https?:\/\/./i.test(fileUrl))
    deps.log.warn(
      { fileserver_url: fileUrl },
      "the URLs of proofs lead nowhere: give fileserver_url as http://host:port, as clients reach fileserver_addr",
    );
  const api =
    apiAddr &&
    stack.use(
      await createRunApi(deps, options, { addr: apiAddr, certificate: await readCertificate(config) }),
    );
  const metrics =
    metricsAddr && stack.use(await createMetricsServer(deps.metrics, listenAt(metricsAddr, "metrics_addr")));
  const files = fileAddr && stack.use(await createProofServer(deps.base, fileAddr, fileUrl));
  const portOf = (part: { readonly port: number } | undefined | "") => (part ? part.port : null);
  const ports = { apiPort: portOf(api), metricsPort: portOf(metrics), filePort: portOf(files) };
  const running = stack.move();
  return { ports, [Symbol.asyncDispose]: () => running[Symbol.asyncDispose]() };
}
