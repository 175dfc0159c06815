import { availableParallelism, hostname } from "node:os";
import { join } from "node:path";
import { Server } from "@grpc/grpc-js";
import type { Logger } from "pino";
import { createStack } from "../../disposeStack.ts";
import { createMetricsServer } from "../../observe/observeServers.ts";
import { readBaseId } from "../baseFolder.ts";
import type { PipelineConfig } from "../config.ts";
import { createDataClients } from "../data/dataClients.ts";
import { createFetchCache } from "../data/fetchCache.ts";
import { openBase } from "../data/openBase.ts";
import type { SharedBase } from "../data/sharedBase.ts";
import { createPipelineMetrics } from "../observe/pipelineMetrics.ts";
import { createStepKeys } from "../steps/stepKeys.ts";
import { createStepRunner, type StepRunner } from "../steps/stepRunner.ts";
import { bindServer } from "../wire/bindServer.ts";
import { clientCredentials, serverCredentials } from "../wire/credentials.ts";
import { GRPC_OPTIONS } from "../wire/grpcLimits.ts";
import { listenAt } from "../wire/listenAt.ts";
import type { WireNodeHello } from "../wire/messages.ts";
import { loadProtos } from "../wire/protos.ts";
import { S3_URL } from "../wire/s3Url.ts";
import { emptyWorkFolder } from "../workFolder.ts";
import { attendStage } from "./attend.ts";
import { computeStep } from "./computeStep.ts";
import { createKnownStages } from "./knownStages.ts";
import { memoryOf } from "./machine.ts";
import { createNodeInfoService } from "./nodeInfo.ts";
import { createProverService } from "./proverService.ts";
import { createResultStore } from "./resultStore.ts";
import { createTaskRuns } from "./taskRuns.ts";

/** A running prover node. */
export interface Prover extends AsyncDisposable {
  readonly nodeId: string;
  readonly port: number;
  /** Takes nothing new, and says so to its stages. */
  drain(): void;
  readonly running: () => string[];
}

const BYTES_PER_MIB = 2 ** 20;

export interface ProverDeps {
  readonly log: Logger;
  /** Default: what is configured. */
  readonly runStep?: StepRunner;
}

export async function createProver(deps: ProverDeps, config: PipelineConfig): Promise<Prover> {
  const { log } = deps;
  await using stack = createStack();
  const base = await openBase(config);
  const protos = loadProtos();
  const metrics = createPipelineMetrics();
  const credentials = await clientCredentials(config);
  const stages = createKnownStages(config.stage_addrs, config.node_token);
  const nodeId = config.name ?? `${hostname()}/${config.addr}`;
  const results = createResultStore(join(base.dir, "results"));
  const cache = stack.use(
    createFetchCache(
      { log },
      { baseDir: base.dir, isMirror: S3_URL.test(config.base_dir), maxGib: config.cache_gib },
    ),
  );
  const calling = { credentials, interceptorsOf: stages.sendToken };
  const data = stack.use(createDataClients({ ...calling, stageData: protos.stageData, blobs: cache.blobs }));
  const keys = await createStepKeys(stepsOf(config).length === 0 ? [] : config.proving_key_paths);
  const workDir = await emptyWorkFolder(base.dir, nodeId);
  const runStep = deps.runStep ?? createStepRunner(config);
  const runs = stack.use(
    createTaskRuns(
      {
        ...{ results, prover: protos.prover },
        compute(method, asked, { requestId, latest, begin, signal }) {
          const run: StepRunner = async (...step) => {
            await begin();
            await runStep(...step);
          };
          const tools = { base, keys, workDir, dataClient: data.of, run, requestId };
          return computeStep({ ...tools, latest }, config, method, asked, signal);
        },
        onFailed: (task, method, reason) => log.warn({ task, method, reason }, "a step failed"),
        onNotKept: (task, reason) =>
          log.error({ task, reason }, "an answer can't be kept; were it lost, the task would run again"),
      },
      { slots: config.slots, waitingRoom: config.slots },
    ),
  );
  const server = new Server(GRPC_OPTIONS);
  const service = { runs, results, prover: protos.prover, count: metrics.count };
  const about = { id: nodeId, name: nodeId, memory: () => memoryOf(config) };
  server.addService(protos.prover, createProverService(service, about));
  let port = 0;
  const readHello = () => createHello(config, base, nodeId, port);
  server.addService(protos.nodeInfo, createNodeInfoService(runs, readHello));
  port = await bindServer(server, config.addr, await serverCredentials(config));
  stack.defer(() => server.forceShutdown());
  if (config.metrics_addr)
    stack.use(await createMetricsServer(metrics, listenAt(config.metrics_addr, "metrics_addr")));
  if (stepsOf(config).length === 0)
    log.warn("this node does nothing: no step is configured. Add [steps] to the configuration");
  const told = { onUnwanted: runs.stop, onDataAddr: stages.announce };
  const stageDeps = { ...calling, ...told, log, stageNodes: protos.stageNodes };
  const attending = { ...stageDeps, running: runs.running, isDraining: runs.isDraining };
  const attendances = config.stage_addrs.map((addr) => stack.use(attendStage(attending, addr, readHello)));
  const active = stack.move();
  return {
    nodeId,
    port,
    drain() {
      runs.drain();
      for (const attendance of attendances) attendance.beat();
    },
    running: runs.running,
    [Symbol.asyncDispose]: () => active[Symbol.asyncDispose](),
  };
}

/** What is checked at the stage is of no node, though the two may have one configuration. */
function stepsOf({ can, steps }: PipelineConfig): string[] {
  return can ?? Object.keys(steps).filter((step) => step !== "verify");
}

/** What the node says of itself when it registers. */
async function createHello(
  config: PipelineConfig,
  base: SharedBase,
  nodeId: string,
  port: number,
): Promise<WireNodeHello> {
  return {
    node_id: nodeId,
    name: nodeId,
    addr: config.advertise_addr ?? config.addr.replace(/:\d+$/, `:${port}`),
    can: stepsOf(config),
    slots: config.slots,
    waiting_room: config.slots,
    cores: availableParallelism(),
    mem_mib: String(Math.floor(memoryOf(config).total / BYTES_PER_MIB)),
    gpus: config.gpu,
    labels: config.labels,
    base_id: await readBaseId(base),
  };
}
