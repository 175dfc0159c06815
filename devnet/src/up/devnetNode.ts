import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { isGevulotError } from "gevulot-sdk";
import type { DisposeStack } from "../disposeStack.ts";
import { type DevnetOptions, START_TIMEOUT_MS } from "./devnetOptions.ts";
import { type NodeProcess, startNodeProcess } from "./nodeProcess.ts";
import { DEFAULT_PORTS, preferredPort } from "./ports.ts";

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
  /** Starts it again, on the same ports. */
  start(): Promise<void>;
}

export interface NodePlace {
  readonly stateDir: string;
  readonly nodeKeyFile: string;
  readonly databaseUrl: string;
  readonly warnings: string[];
}

/** Starts a node of a devnet; the stack stops it. */
export async function createDevnetNode(
  stack: DisposeStack,
  options: DevnetOptions,
  place: NodePlace,
): Promise<DevnetNode> {
  const dataDir = join(place.stateDir, "node0");
  const logFile = join(dataDir, "node.log");
  await mkdir(dataDir, { recursive: true });
  const ports = await choosePorts(options.defaultPorts ?? false, place.warnings);
  let current: NodeProcess;
  const start = async (rpc: number, http: number): Promise<NodeProcess> => {
    options.onProgress?.("starting the node");
    return startNodeProcess({
      options: {
        dataDirectory: dataDir,
        dbUrl: place.databaseUrl,
        jsonRpcListenAddr: `127.0.0.1:${rpc}`,
        logDirectory: join(dataDir, "log"),
        noExecution: options.execution === false,
        allowUnmountedImages: options.allowUnmountedImages === true,
        nodeKeyFile: place.nodeKeyFile,
        p2pListenAddr: `127.0.0.1:${ports.p2p}`,
        httpDownloadPort: http,
        provider: options.provider ?? "auto",
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
      },
      logFile,
      timeoutMs: options.startTimeoutMs ?? START_TIMEOUT_MS,
      ...(options.signal && { signal: options.signal }),
      ...(options.onNodeLine && { onLine: options.onNodeLine }),
      onExit: (reason) => options.onExit?.(`the node: ${reason}`),
    });
  };
  current = await start(ports.rpc, ports.http).catch((error: unknown) => {
    // Another devnet that starts in the same moment may have taken a port since we looked.
    const isTaken =
      isGevulotError(error, "NODE_START_FAILED") && error.context.lastLine.includes("is in use by");
    if (!isTaken || !(ports.rpc || ports.http)) throw error;
    place.warnings.push("a default port was taken meanwhile; free ones are used");
    return start(0, 0);
  });
  stack.defer(() => current.kill("SIGTERM"));
  const { rpcUrl, httpUrl, p2pAddress, publicKey, vsock } = current.ready;
  const portOf = (url: string) => Number(new URL(url).port);
  return {
    name: "node0",
    rpcUrl,
    httpUrl,
    p2pAddress,
    publicKey,
    vsock,
    databaseUrl: place.databaseUrl,
    dataDir,
    logFile,
    get pid() {
      return current.running ? current.pid : null;
    },
    kill: (signal = "SIGTERM") => current.kill(signal),
    start: async () => {
      if (!current.running) current = await start(portOf(rpcUrl), portOf(httpUrl));
    },
  };
}

async function choosePorts(defaults: boolean, warnings: string[]) {
  const choose = async (what: string, preferred: number): Promise<number> => {
    const port = defaults ? await preferredPort(preferred) : 0;
    if (defaults && port === 0) warnings.push(`port ${preferred} (${what}) is taken; a free one is used`);
    return port;
  };
  return {
    rpc: await choose("JSON-RPC", DEFAULT_PORTS.rpc),
    http: await choose("files", DEFAULT_PORTS.http),
    p2p: DEFAULT_PORTS.p2p,
  };
}
