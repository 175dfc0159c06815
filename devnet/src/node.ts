import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { GevulotError } from "gevulot-sdk";
import { readKeyFile } from "gevulot-sdk/node";
import type { Transaction } from "gevulot-sdk/protocol";
import type { Logger } from "pino";
import { claimFolder } from "./claimFolder.ts";
import { createStack, type DisposeStack } from "./disposeStack.ts";
import { createEventServer } from "./events/eventServer.ts";
import { createRunHub, type RunHub } from "./events/runHub.ts";
import type { NodeFaults } from "./faults/nodeFaults.ts";
import { createFileFetcher, DEFAULT_FETCH, type FileFetcher } from "./files/fetchFile.ts";
import { createFileServer } from "./files/fileServer.ts";
import { createFileLayout, type FileLayout } from "./files/layout.ts";
import type { PeerServers } from "./files/peerServers.ts";
import { createPruner } from "./files/prune.ts";
import { createUploads } from "./files/uploads.ts";
import { createNodeGates, type NodeGates } from "./http/nodeGates.ts";
import { createAccessList } from "./intake/accessList.ts";
import { createIntake, type Intake, type IntakeDeps, type Origin } from "./intake/intake.ts";
import { publicKeyOf } from "./nativeKeys.ts";
import { createNodeNetwork, type NodeNetwork } from "./nodeNetwork.ts";
import { createMetrics, type Metrics } from "./observe/metrics.ts";
import { createHealthServer, createMetricsServer } from "./observe/observeServers.ts";
import type { NodeOptions } from "./options.ts";
import { readSoftwareVersion } from "./p2p/softwareVersion.ts";
import { createMethods, type MethodDeps } from "./rpc/methods.ts";
import { createRpcServer } from "./rpc/rpcServer.ts";
import { createMachineShare } from "./schedule/machineShare.ts";
import { clearWorkspaces } from "./schedule/recover.ts";
import { type Capacity, NO_RESOURCES } from "./schedule/resources.ts";
import { createRunDeadlines } from "./schedule/runDeadlines.ts";
import type { RunTaskDeps } from "./schedule/runTask.ts";
import { createScheduler, type Scheduler } from "./schedule/scheduler.ts";
import { createConsoleFinder } from "./schedule/taskConsole.ts";
import { createDatabase, type Database } from "./store/database.ts";
import { migrate } from "./store/migrate.ts";
import { findRun } from "./store/readTransactions.ts";
import type { Sharing } from "./store/sharedRuns.ts";
import { createTraceWriter } from "./trace/traceWriter.ts";
import { createVmProvider } from "./vm/createVmProvider.ts";
import type { InspectOptions } from "./vm/inspector.ts";
import type { VmProvider } from "./vm/provider.ts";
import { reapLeftovers } from "./vm/reapLeftovers.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    NODE_RUNNING: { dataDirectory: string; pid: number };
  }
}

export interface Node extends AsyncDisposable {
  readonly publicKey: string;
  readonly rpcUrl: string;
  readonly httpUrl: string;
  readonly p2pAddress: string;
  /** How VMs reach the node besides by files, and why so; null where it runs no tasks. */
  readonly vsock: VmProvider["vsock"] | null;
}

/** What outlives a node that ends and begins anew in one process; whoever made the stack disposes of it. */
export interface KeptParts {
  readonly stack: DisposeStack;
  store?: Store;
  provider?: VmProvider;
}

interface Store {
  readonly layout: FileLayout;
  readonly database: Database;
}

const MIB = 2 ** 20;
const CONSOLE_LIMIT_BYTES = 16 * MIB;

/**
 * A running node: `rpc → intake → store → schedule → vm → result → intake`. It stops in the reverse order; tasks
 * that run are given back to the queue.
 */
export async function createNode(
  deps: { readonly log: Logger; readonly kept?: KeptParts; readonly faults?: NodeFaults },
  options: NodeOptions,
): Promise<Node> {
  const { log, kept, faults } = deps;
  await using stack = createStack();
  const secretKey = await readKeyFile(options.nodeKeyFile);
  const gates = await createNodeGates(options);
  const store = kept?.store ?? (await openStore(kept?.stack ?? stack, log, options));
  if (kept) kept.store = store;
  const { layout, database } = store;
  const metrics = createMetrics();
  const health = await createObservers(stack, database, metrics, options);

  let network: NodeNetwork | null = null;
  const peers: PeerServers = {
    list: () => (network?.peers() ?? []).flatMap(({ httpUrl }) => httpUrl ?? []),
    onLie: (server, reason) => network?.banFileServer(server, reason),
  };
  const { files, httpPort, rpcHost } = await openFiles(stack, { log, layout, gates, peers }, options);

  const hub = createRunHub();
  let scheduler: Scheduler | null = null;
  let vsock: Node["vsock"] = null;
  const onStored = (tx: Transaction, origin: Origin): void => {
    notifyRun(log, database, hub, tx);
    if (tx.payload.kind === "deploy") hub.notifyDeploy();
    if (scheduler) notifyScheduler(scheduler, tx);
    network?.stored(tx, origin);
  };
  const onRunChanged = (run: string): void => {
    hub.notify(run);
    network?.runChanged(run);
  };
  const ownKey = publicKeyOf(secretKey);
  const sharing = () => network?.sharing() ?? null;
  const { wake: onDeadline } = stack.use(createRunDeadlines({ log, database, onRunChanged }));
  const door = { log, database, layout, files, onStored, onDeadline };
  const { intake, flushTimes } = openIntake(stack, { ...door, ownKey, sharing }, options);

  if (!options.noExecution) {
    const node = { nodeSecretKey: secretKey, fileBaseUrl: `http://${rpcHost}` };
    const parts = { log, database, layout, intake, metrics, faults, ...node, onRunChanged };
    ({ scheduler, vsock } = await createExecution(stack, { ...parts, kept }, options));
  }

  const own = { publicKey: ownKey, resources: capacityOf(options), notifyRun: hub.notify };
  const member = { log, database, intake, metrics, secretKey, httpPort, faults, ...own };
  network = await createNodeNetwork(stack, { ...member, wakeScheduler: () => scheduler?.wake() }, options);

  stack.use(createPruner({ log, database, layout }, options));
  // Last, because whoever can call finds everything behind it running.
  const nodeInfo = infoOf(network, () => scheduler, options);
  const api = { database, intake, rpcHost, publicKey: ownKey, nodeInfo, flushTimes };
  const rpcPort = await openRpc(stack, { log, metrics, hub, gates, ...api }, options);
  health.started();
  stack.defer(health.stopping);
  const running = stack.move();
  return {
    publicKey: ownKey,
    rpcUrl: `http://${hostPort(options.jsonRpcListenAddr.host, rpcPort)}`,
    httpUrl: `http://${rpcHost}`,
    p2pAddress: network.address,
    vsock,
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
}

async function openStore(stack: DisposeStack, log: Logger, options: NodeOptions): Promise<Store> {
  const layout = createFileLayout(options.dataDirectory);
  await Promise.all(
    [layout.imagesDir, layout.txFilesDir].map((folder) => mkdir(folder, { recursive: true })),
  );
  const { dataDirectory } = options;
  const release = await claimFolder(join(dataDirectory, "node.lock"), (pid) =>
    nodeRunning(dataDirectory, pid),
  );
  stack.defer(release);
  const database = stack.use(await createDatabase({ log }, { url: options.dbUrl }));
  const applied = await migrate(database);
  if (applied.length > 0) log.info({ applied }, "the database schema was brought up to date");
  return { layout, database };
}

/** Brings files here, and serves them. */
async function openFiles(
  stack: DisposeStack,
  deps: {
    readonly log: Logger;
    readonly layout: FileLayout;
    readonly gates: NodeGates;
    readonly peers: PeerServers;
  },
  options: NodeOptions,
): Promise<{ files: FileFetcher; httpPort: number; rpcHost: string }> {
  const { log, layout, gates, peers } = deps;
  const files = createFileFetcher(layout.incomingDir, { ...DEFAULT_FETCH, peers });
  const { host } = options.p2pListenAddr;
  const uploads = gates.takesUploads && {
    uploads: createUploads({ root: layout.root, maxBytes: DEFAULT_FETCH.maxBytes }),
  };
  const { port } = stack.use(
    await createFileServer(
      { log, layout, isArriving: files.isArriving, gate: gates.files, ...uploads },
      { host, port: options.httpDownloadPort },
    ),
  );
  return { files, httpPort: port, rpcHost: hostPort(options.p2pAdvertisedListenAddr?.host ?? host, port) };
}

/** The one door for transactions, with who may come in, and what notes when they did. */
function openIntake(
  stack: DisposeStack,
  deps: Omit<IntakeDeps, "access" | "onTimed"> & {
    readonly database: Database;
    readonly ownKey: string;
    readonly sharing: () => Sharing;
  },
  options: NodeOptions,
): { intake: Intake; flushTimes: () => Promise<void> } {
  const { log, database, ownKey, sharing } = deps;
  const { noExecution, allowUnmountedImages } = options;
  const listed = { mode: options.acl, url: options.aclWhitelistUrl, ownKey };
  const access = stack.use(createAccessList({ log, database }, listed));
  const trace = stack.use(createTraceWriter({ log, database }));
  const intake = createIntake(
    { ...deps, access, onTimed: trace.add },
    { execute: !noExecution, requireImages: !noExecution, allowUnmountedImages, sharing },
  );
  stack.defer(() => intake[Symbol.dispose]());
  return { intake, flushTimes: trace.flush };
}

/** @returns its port */
async function openRpc(
  stack: DisposeStack,
  deps: Omit<MethodDeps, "takesUploads"> & {
    readonly log: Logger;
    readonly metrics: Metrics;
    readonly hub: RunHub;
    readonly gates: NodeGates;
  },
  options: NodeOptions,
): Promise<number> {
  const { log, metrics, hub, gates, database } = deps;
  const findConsole = options.noExecution ? null : createConsoleFinder(database, options.logDirectory);
  const events = stack.use(createEventServer({ log, database, hub, info: deps.nodeInfo, findConsole }));
  const methods = createMethods({ ...deps, takesUploads: gates.takesUploads });
  const rpc = stack.use(
    await createRpcServer(
      { log, methods, events, metrics, gate: gates.rpc },
      { ...options.jsonRpcListenAddr, maxBodyBytes: options.maxBodyMib * MIB },
    ),
  );
  return rpc.port;
}

function nodeRunning(dataDirectory: string, pid: number): GevulotError {
  return new GevulotError(
    "NODE_RUNNING",
    `A node (process ${pid}) works in ${dataDirectory} already. Stop it, or give another --data-directory and --db-url.`,
    { context: { dataDirectory, pid } },
  );
}

function notifyScheduler(scheduler: Scheduler, tx: Transaction): void {
  const { payload } = tx;
  if (payload.kind === "run" || payload.kind === "proof") scheduler.wake();
  if (payload.kind === "cancel") scheduler.cancelRun(payload.parent);
  if (payload.kind === "deploy") scheduler.prepare([payload.prover, payload.verifier]);
}

/** Health and metrics; they are the last to go. */
async function createObservers(
  stack: DisposeStack,
  database: Database,
  metrics: Metrics,
  options: NodeOptions,
): Promise<{ started: () => void; stopping: () => void }> {
  let isStarted = false;
  const check = async (): Promise<void> => void (await database.query("select 1"));
  const checks = { check, isStarted: () => isStarted };
  const health = stack.use(await createHealthServer(checks, options.httpHealthcheckListenAddr));
  const { httpMetricsListenAddr: address } = options;
  if (address)
    stack.use(await createMetricsServer(metrics, { ...address, flag: "--http-metrics-listen-addr" }));
  return {
    started: () => {
      isStarted = true;
    },
    stopping: health.stopping,
  };
}

/** Tells the listeners of a Run that a transaction of it was stored. */
function notifyRun(log: Logger, database: Database, hub: RunHub, tx: Transaction): void {
  const { payload } = tx;
  if (payload.kind === "run") hub.notify(tx.hash);
  else if (payload.kind === "proof" || payload.kind === "cancel") hub.notify(payload.parent);
  else if (payload.kind === "verification") {
    findRun(database, tx.hash).then(
      (run) => run !== null && hub.notify(run),
      (error: Error) => log.warn({ reason: error.message }, "listeners of a Run are told later"),
    );
  }
}

/** What a node that runs tasks has besides: a clean start, a provider, a scheduler. */
async function createExecution(
  stack: DisposeStack,
  parts: Omit<RunTaskDeps, "provider" | "metrics"> & {
    readonly metrics: Metrics;
    readonly kept: KeptParts | undefined;
  },
  options: NodeOptions,
): Promise<{ scheduler: Scheduler; vsock: VmProvider["vsock"] }> {
  const { log, layout, metrics, kept } = parts;
  const provider = kept?.provider ?? (kept?.stack ?? stack).use(await createProvider(log, layout, options));
  if (kept) kept.provider = provider;
  await clearWorkspaces({ log, layout });
  const capacity = capacityOf(options);
  const limits = {
    logDirectory: options.logDirectory,
    taskDeadlineMs: options.taskDeadlineSeconds * 1_000,
    consoleLimitBytes: CONSOLE_LIMIT_BYTES,
    maxOutputBytes: Math.floor(options.maxOutputGb * 1_024 * MIB),
    maxOutputFiles: options.maxOutputFiles,
    taskIdleMs: options.taskIdleSeconds === undefined ? undefined : options.taskIdleSeconds * 1_000,
  };
  const { gpuDevices } = options;
  const machine =
    options.machineFolder === undefined
      ? undefined
      : await createMachineShare(options.machineFolder, capacity);
  const scheduler = stack.use(
    createScheduler({ ...parts, provider }, { capacity, gpuDevices, machine, ...limits }),
  );
  metrics.watch({
    total: () => capacity,
    available: () => {
      const used = scheduler.used();
      return {
        memMib: capacity.memMib - used.memMib,
        // CPUs are given away more than once.
        cpus: Math.max(0, capacity.cpus - used.cpus),
        gpus: capacity.gpus - used.gpus,
      };
    },
  });
  return { scheduler, vsock: provider.vsock };
}

/** What an earlier node left is gone before it. */
async function createProvider(log: Logger, layout: FileLayout, options: NodeOptions): Promise<VmProvider> {
  const { dataDirectory, provider, qemuPath } = options;
  await reapLeftovers({ log }, { dataDirectory });
  return createVmProvider(
    { log },
    {
      provider,
      qemuPath,
      cacheDir: layout.cacheDir,
      inspect: inspectOf(options),
      volumesDir: options.volumesDirectory,
      bootLimitMs: options.bootSeconds === undefined ? undefined : options.bootSeconds * 1_000,
      vsock: { listenPort: options.vsockListenPort, vhostDevicePath: options.vhostDeviceVsock },
    },
  );
}

function inspectOf({ inspectPort: port, inspectBrk: wait }: NodeOptions): InspectOptions | undefined {
  return port === undefined ? undefined : { port, wait };
}

/** What the node says of itself. */
function infoOf(
  network: NodeNetwork,
  scheduler: () => Scheduler | null,
  options: NodeOptions,
): MethodDeps["nodeInfo"] {
  const { major, minor, patch } = readSoftwareVersion();
  const version = `${major}.${minor}.${patch}`;
  const { cpuFactor: _, ...capacity } = capacityOf(options);
  const total = options.noExecution ? NO_RESOURCES : capacity;
  return () => {
    const held = scheduler()?.used() ?? NO_RESOURCES;
    const tasks = scheduler()?.running() ?? 0;
    return { ...network.info(), version, machine: { total, held, tasks } };
  };
}

/** What this machine gives to tasks. */
function capacityOf(options: NodeOptions): Capacity {
  return {
    memMib: Math.floor(options.memGb * 1_024),
    cpus: options.numCpus,
    gpus: options.gpuDevices.length,
    cpuFactor: options.cpuFactor,
  };
}

function hostPort(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
