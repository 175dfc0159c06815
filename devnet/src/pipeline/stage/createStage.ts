import { randomUUID } from "node:crypto";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { GevulotError } from "gevulot-sdk";
import type { Logger } from "pino";
import { createStack } from "../../disposeStack.ts";
import { createDatabase, type Database, type DatabaseOptions } from "../../store/database.ts";
import { ensureBaseId } from "../baseFolder.ts";
import type { PipelineConfig } from "../config.ts";
import { type BlobStore, createBlobStore } from "../data/blobStore.ts";
import { openBase } from "../data/openBase.ts";
import type { SharedBase } from "../data/sharedBase.ts";
import { createNodePool } from "../nodes/nodePool.ts";
import { createPipelineMetrics } from "../observe/pipelineMetrics.ts";
import type { TaskKind } from "../plan/planTasks.ts";
import { createTaskQueue } from "../schedule/taskQueue.ts";
import { migratePipeline } from "../store/migratePipeline.ts";
import type { PipelineRun } from "../store/runs.ts";
import { findOtherBase, replaceStage, SILENT_SECONDS } from "../store/stages.ts";
import { TASK_TYPE } from "../store/statuses.ts";
import type { PipelineTask } from "../store/tasks.ts";
import { bindServer } from "../wire/bindServer.ts";
import { clientCredentials, serverCredentials } from "../wire/credentials.ts";
import { loadProtos } from "../wire/protos.ts";
import { emptyWorkFolder, workFolder } from "../workFolder.ts";
import { deadlineMsOf } from "./deadlines.ts";
import { createDispatcher, type Dispatcher } from "./dispatcher.ts";
import { findLiar } from "./findLiar.ts";
import { createHousekeeping } from "./housekeeping.ts";
import { createRetention } from "./retention.ts";
import { createRunDriver } from "./runDriver.ts";
import type { SetbackOptions } from "./runSetback.ts";
import { createSegmentCollector } from "./segmentCollector.ts";
import { createSideServers, type SidePorts } from "./sideServers.ts";
import { createStageServer } from "./stageServer.ts";
import { createTaskCaller } from "./taskCaller.ts";
import { folderOf } from "./taskRequest.ts";
import { createUnserved } from "./unserved.ts";
import { createVerifyStep } from "./verifyStep.ts";
import { warnIfOpen } from "./warnIfOpen.ts";

/** A running stage: takes runs, and gives their tasks to prover nodes. */
export interface Stage extends AsyncDisposable, SidePorts {
  readonly port: number;
}

/** A step that breaks off so often on its way, e.g. because nodes die, fails the run. */
const MAX_LOSSES = 20;
/** A task may wait at a node for one that takes as long, and the queue asks later than either's deadline. */
const WAITS_TOO = 3;
/** A stage that is silent for as long counts as dead. */
const LONGEST_PAUSE_MS = 1_000 * SILENT_SECONDS;

export async function createStage(deps: { readonly log: Logger }, config: PipelineConfig): Promise<Stage> {
  const { log } = deps;
  await using stack = createStack();
  const base = await openBase(config);
  const baseId = await ensureBaseId(base);
  const blobs = createBlobStore(join(base.dir, "blob"), base);
  const database = stack.use(await createDatabase({ log }, databaseOptions(config)));
  await migratePipeline(database);
  const place = `${hostname()}/${config.addr}`;
  const stageId = randomUUID();
  const queue = stack.use(
    await createTaskQueue({ log, database }, { expireSeconds: longestSeconds(config) }),
  );
  const protos = loadProtos();
  const metrics = createPipelineMetrics();
  const credentials = await clientCredentials(config);

  const verify = await createVerifyStep({ blobs, workDir: workFolder(base.dir, place) }, config);
  let dispatcher: Dispatcher | null = null;
  const wake = (): void => dispatcher?.wake();
  const pool = stack.use(
    createNodePool(
      { log, credentials, protos, now: Date.now, onRoom: wake },
      { ...listedNodes(config), baseId, verifies: verify !== null, needs: config.needs },
    ),
  );
  const driver = createRunDriver(
    { log, database, queue, onChanged: wake, publish: (run, hash) => publish({ blobs, base }, run, hash) },
    setbackOptions(config),
  );
  const segments = createSegmentCollector({ blobs, base, driver, onSegments: metrics.segments });
  let port = 0;
  const dataAddr = (): string => config.advertise_addr ?? config.addr.replace(/:\d+$/, `:${port}`);
  const caller = createTaskCaller({ database, blobs, base, segments, dataAddr, verify }, config);
  const accuse = async (failed: PipelineTask, signal: AbortSignal) =>
    verify && findLiar({ database, blobs, verify, limitMs: deadlineMsOf("verify", config) }, failed, signal);
  const options = { version: config.prover_version, baseDir: base.dir, verifies: verify !== null };
  const service = { ...options, fileServerUrl: config.fileserver_url ?? null, stageId, dataAddr };
  const unserved = createUnserved(database, pool);
  let unwanted: ReadonlySet<string> = new Set();
  const isUnwanted = (taskId: string): boolean => unwanted.has(taskId);
  const stageDeps = { log, database, blobs, base, driver, pool, isUnwanted, unserved, segments, protos };
  const server = createStageServer(
    { ...stageDeps, count: metrics.count },
    { ...service, acceptsNodes: config.accept_nodes, nodeToken: config.node_token },
  );
  const served = { log, database, blobs, driver, pool, metrics, base };
  const { ports } = stack.use(await createSideServers(served, options, config));
  port = await bindServer(server, config.addr, await serverCredentials(config));
  stack.defer(() => server.forceShutdown());
  warnIfOpen(log, config);
  // Its address is this one's now, so an earlier process of this stage is gone: its tasks are taken back at once.
  const addr = place.replace(/:\d+$/, `:${port}`);
  await refuseOtherBase(database, { addr, baseId, baseDir: base.dir });
  await replaceStage(database, stageId, { addr, baseId });
  await emptyWorkFolder(base.dir, place);
  const active = stack.use(createDispatcher({ log, database, queue, pool, driver, caller, stageId, accuse }));
  dispatcher = active;
  const old = { log, database, baseDir: base.dir };
  stack.use(createRetention(old, { keepRunsDays: config.keep_runs_days }));
  const heard = (): string[] => pool.nodes().flatMap((node) => node.heard);
  const onUnwanted = (ids: readonly string[]): void => {
    unwanted = new Set(ids);
  };
  const kept = { log, database, driver, unserved, dispatcher: active, heard, onUnwanted, stageId, addr };
  stack.use(await createHousekeeping(kept));
  active.wake();
  const running = stack.move();
  return { port, ...ports, [Symbol.asyncDispose]: () => running[Symbol.asyncDispose]() };
}

function databaseOptions({ database_url: url }: PipelineConfig): DatabaseOptions {
  return { url: url!, prepares: true, longestPauseMs: LONGEST_PAUSE_MS };
}

/** More than any task may take, with its wait at a node. */
function longestSeconds(config: PipelineConfig): number {
  const kinds = Object.keys(TASK_TYPE) as TaskKind[];
  return (WAITS_TOO * Math.max(...kinds.map((kind) => deadlineMsOf(kind, config)))) / 1_000;
}

function setbackOptions(config: PipelineConfig): SetbackOptions {
  const busyLimitMs = (kind: TaskKind): number => deadlineMsOf(kind, config);
  return { maxFailures: config.max_attempts, maxLosses: MAX_LOSSES, busyLimitMs };
}

function listedNodes(config: PipelineConfig) {
  const { prover_addrs: proverAddrs, snark_addrs: snarkAddrs, prove_nodes_num: proveNodesNum } = config;
  return { proverAddrs, snarkAddrs, proveNodesNum };
}

/** Outputs lie in the base folder: a stage that has another can't go on with the others' runs. */
async function refuseOtherBase(
  database: Database,
  own: { readonly addr: string; readonly baseId: string; readonly baseDir: string },
): Promise<void> {
  const other = await findOtherBase(database, own);
  if (other === null) return;
  throw new GevulotError(
    "PIPELINE_CONFIG",
    `base_dir ${own.baseDir} is not that of the stage ${other}, which has the same database. Give all stages of a database ` +
      "one base_dir, or this one a database_url of its own.",
    { context: { path: own.baseDir } },
  );
}

/** Puts the finished proof where its URL points, and gives it as text where it is text. */
async function publish(
  { blobs, base }: { readonly blobs: BlobStore; readonly base: SharedBase },
  run: PipelineRun,
  hash: string,
): Promise<string | undefined> {
  const { target } = run.shape;
  if (target === "split" || target === "prove") return undefined;
  const bytes = await blobs.readAll(hash);
  const path = folderOf(run).snarkProof;
  await mkdir(dirname(path), { recursive: true });
  // Never half of it; and a file of its own, no second name of the blob: a late node writes here in place.
  const temporary = `${path}.${randomUUID()}.tmp`;
  try {
    await writeFile(temporary, bytes, { flush: true });
    await rename(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
  await base.publish(path);
  try {
    const text = new TextDecoder("utf8", { fatal: true }).decode(bytes);
    // PostgreSQL's text holds no NUL.
    return target === "snark" && !text.includes("\0") ? text : undefined;
  } catch {
    return undefined;
  }
}
