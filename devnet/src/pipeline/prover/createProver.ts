import { mkdir } from "node:fs/promises";
import { availableParallelism, hostname, totalmem } from "node:os";
import { join } from "node:path";
import { Server } from "@grpc/grpc-js";
import type { Logger } from "pino";
import { createStack } from "../../disposeStack.ts";
import { readBaseId } from "../baseFolder.ts";
import type { PipelineConfig } from "../config.ts";
import { createBlobStore } from "../data/blobStore.ts";
import { createMetricsEndpoint } from "../observe/metricsEndpoint.ts";
import { createPipelineMetrics } from "../observe/pipelineMetrics.ts";
import { bindServer } from "../wire/bindServer.ts";
import { clientCredentials, serverCredentials } from "../wire/credentials.ts";
import { GRPC_OPTIONS } from "../wire/grpcLimits.ts";
import { loadProtos } from "../wire/protos.ts";
import { attendStage } from "./attend.ts";
import { createProverWork } from "./proverService.ts";
import { createResultStore } from "./resultStore.ts";

/** A running prover node. */
export interface Prover extends AsyncDisposable {
  readonly nodeId: string;
  readonly port: number;
  /** Takes nothing new, and says so to its stages. */
  drain(): void;
  readonly running: () => string[];
}

const MIB = 2 ** 20;

export async function createProver(deps: { readonly log: Logger }, config: PipelineConfig): Promise<Prover> {
  const { log } = deps;
  await using stack = createStack();
  await mkdir(config.base_dir, { recursive: true });
  const protos = loadProtos();
  const metrics = createPipelineMetrics();
  const credentials = await clientCredentials(config);
  const nodeId = config.name ?? `${hostname()}/${config.addr}`;
  const work = stack.use(
    createProverWork(
      {
        ...{ log, credentials, prover: protos.prover, stageData: protos.stageData, count: metrics.count },
        blobs: createBlobStore(join(config.base_dir, "blob")),
        results: createResultStore(join(config.base_dir, "results")),
      },
      config,
      nodeId,
    ),
  );
  const server = new Server(GRPC_OPTIONS);
  server.addService(protos.prover, work.service);
  const port = await bindServer(server, config.addr, await serverCredentials(config));
  stack.defer(() => server.forceShutdown());
  if (config.metrics_addr) stack.use(await createMetricsEndpoint(metrics, config.metrics_addr));

  const configured = Object.keys(config.steps);
  const hello = {
    node_id: nodeId,
    name: nodeId,
    addr: config.advertise_addr ?? config.addr.replace(/:\d+$/, `:${port}`),
    can: (config.can ?? configured).filter((step) => configured.includes(step)),
    slots: config.slots,
    cores: availableParallelism(),
    mem_mib: String(Math.floor(config.mem_gib ? config.mem_gib * 1_024 : totalmem() / MIB)),
    gpus: config.gpu,
    labels: config.labels,
    base_id: await readBaseId(config.base_dir),
  };
  for (const stageAddr of config.stage_addrs) {
    const about = { log, stageNodes: protos.stageNodes, credentials };
    stack.use(
      attendStage({ ...about, running: work.running, isDraining: work.isDraining }, stageAddr, hello),
    );
  }
  const active = stack.move();
  return {
    nodeId,
    port,
    drain: work.drain,
    running: work.running,
    [Symbol.asyncDispose]: () => active[Symbol.asyncDispose](),
  };
}
