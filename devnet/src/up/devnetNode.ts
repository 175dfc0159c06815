import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { isGevulotError } from "gevulot-sdk";
import type { DisposeStack } from "../disposeStack.ts";
import type { NodeOptionsInput } from "../options.ts";
import { type DevnetOptions, START_TIMEOUT_MS } from "./devnetOptions.ts";
import type { NodeOrder } from "./nodeOrders.ts";
import { type NodeProcess, startNodeProcess } from "./nodeProcess.ts";
import { choosePorts, type Ports, type PortWishes, writePorts } from "./ports.ts";

export interface DevnetNode {
  readonly name: string;
  readonly rpcUrl: string;
  readonly httpUrl: string;
  /** `host:port`. */
  readonly p2pAddress: string;
  readonly publicKey: string;
  /** How its VMs reach it besides by files, and why so; null where it runs no tasks. */
  readonly vsock: string | null;
  readonly databaseUrl: string;
  readonly dataDir: string;
  readonly logFile: string;
  /** Null while it is stopped. */
  readonly pid: number | null;
  /** Ends the process: SIGTERM stops it in order, SIGKILL is a crash. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again, on the same ports; one that is paused goes on. */
  start(): Promise<void>;
  /** Stops it where it is, as a machine that hangs; `start` lets it go on. */
  pause(): void;
  /** Has the process do what only its devnet may ask for. */
  order(order: NodeOrder): Promise<void>;
}

export interface NodePlace {
  /** From 0. */
  readonly index: number;
  readonly stateDir: string;
  /** Peers to begin with, `host:port`. */
  readonly discovery: Promise<readonly string[]>;
  readonly nodeKeyFile: string;
  readonly databaseUrl: Promise<string>;
  readonly warnings: string[];
  /** Learns of each process of the node. */
  readonly onSpawn: (pid: number) => void;
}

/** What it listened on last time. */
const PORTS_FILE = "ports.json";

/** Starts a node of a devnet; the stack stops it. */
export async function createDevnetNode(
  stack: DisposeStack,
  options: DevnetOptions,
  place: NodePlace,
): Promise<DevnetNode> {
  const name = `node${place.index}`;
  const dataDir = join(place.stateDir, name);
  const logFile = join(dataDir, "node.log");
  await mkdir(dataDir, { recursive: true });
  const ports = await choosePorts(portWishes(options, place, dataDir), place.warnings);
  let current: NodeProcess;
  let isPaused = false;
  const start = async ({ rpc, http, p2p }: Ports): Promise<NodeProcess> => {
    options.onProgress?.(`starting ${name}`);
    return startNodeProcess({
      name,
      ...(options.onProgress && { onProgress: options.onProgress }),
      options: nodeOptionsOf(options, place, dataDir, { rpc, http, p2p }),
      late: lateOptions(place),
      logFile,
      timeoutMs: options.startTimeoutMs ?? START_TIMEOUT_MS,
      ...(options.signal && { signal: options.signal }),
      ...(options.onNodeLine && { onLine: options.onNodeLine }),
      onSpawn: place.onSpawn,
      onExit: (reason) => options.onExit?.(`${name}: ${reason}`),
    });
  };
  current = await start(ports).catch((error: unknown) => {
    if (!isPortTaken(error)) throw error;
    place.warnings.push(`a port of ${name} was taken meanwhile; free ones are used`);
    return start({ rpc: 0, http: 0, p2p: 0 });
  });
  // A stopped process hears no other signal.
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (isPaused && current.running) process.kill(current.pid, "SIGCONT");
    isPaused = false;
    await current.kill(signal);
  };
  stack.defer(() => end("SIGTERM"));
  const { rpcUrl, httpUrl, p2pAddress, publicKey, vsock } = current.ready;
  const portOf = (url: string) => Number(new URL(url).port);
  const own: Ports = { rpc: portOf(rpcUrl), http: portOf(httpUrl), p2p: portOf(`http://${p2pAddress}`) };
  await writePorts(join(dataDir, PORTS_FILE), own);
  return {
    name,
    rpcUrl,
    httpUrl,
    p2pAddress,
    publicKey,
    vsock,
    databaseUrl: await place.databaseUrl,
    dataDir,
    logFile,
    get pid() {
      return current.running ? current.pid : null;
    },
    kill: (signal = "SIGTERM") => end(signal),
    start: async () => {
      if (isPaused && current.running) process.kill(current.pid, "SIGCONT");
      isPaused = false;
      if (!current.running) current = await start(own);
    },
    pause: () => {
      if (!current.running) return;
      process.kill(current.pid, "SIGSTOP");
      isPaused = true;
    },
    order: (order) => current.order(order),
  };
}

async function lateOptions(place: NodePlace): Promise<{ dbUrl: string; p2pDiscoveryAddrs: string }> {
  const [dbUrl, discovery] = await Promise.all([place.databaseUrl, place.discovery]);
  return { dbUrl, p2pDiscoveryAddrs: discovery.join() };
}

/** Only the first node has the ports that everybody knows, and those asked for. */
function portWishes(options: DevnetOptions, { index }: NodePlace, dataDir: string): PortWishes {
  return {
    asked: index === 0 ? options.ports : undefined,
    file: join(dataDir, PORTS_FILE),
    defaults: index === 0 && (options.defaultPorts ?? false),
  };
}

/** Another devnet that starts in the same moment may have taken a port since we looked. */
function isPortTaken(error: unknown): boolean {
  return isGevulotError(error, "NODE_START_FAILED") && error.context.lastLine.includes("is in use by");
}

function nodeOptionsOf(
  options: DevnetOptions,
  place: NodePlace,
  dataDir: string,
  { rpc, http, p2p }: Ports,
): NodeOptionsInput {
  return {
    dataDirectory: dataDir,
    jsonRpcListenAddr: `127.0.0.1:${rpc}`,
    logDirectory: join(dataDir, "log"),
    noExecution: options.execution === false,
    allowUnmountedImages: options.allowUnmountedImages === true,
    nodeKeyFile: place.nodeKeyFile,
    p2pListenAddr: `127.0.0.1:${p2p}`,
    p2pPskPassphrase: options.passphrase,
    execution: options.mode ?? "assigned",
    provers: options.provers,
    verifiers: options.verifiers,
    attempts: options.attempts,
    machineFolder: join(place.stateDir, "machine"),
    httpDownloadPort: http,
    provider: options.provider ?? "auto",
    inspectPort: options.inspect?.port,
    inspectBrk: options.inspect?.wait === true,
    numCpus: options.numCpus,
    memGb: options.memGb,
    logLevel: options.logLevel,
    taskDeadlineSeconds: options.taskDeadlineSeconds,
    taskIdleSeconds: options.taskIdleSeconds,
    maxOutputGb: options.maxOutputGb,
    maxOutputFiles: options.maxOutputFiles,
    volumesDirectory: options.volumesDirectory,
    maxBodyMib: options.maxBodyMib,
    // Any port: several networks may run side by side.
    httpHealthcheckListenAddr: "127.0.0.1:0",
    acl: "off",
  };
}
