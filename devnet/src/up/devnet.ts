import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { GevulotClient, GevulotError } from "gevulot-sdk";
import { createStack, type DisposeStack } from "../disposeStack.ts";
import { type Account, writeKeyFiles } from "./accounts.ts";
import { type NodeProcess, startNodeProcess } from "./nodeProcess.ts";
import { DEFAULT_PORTS, preferredPort } from "./ports.ts";
import { createPostgres, type Postgres } from "./postgres.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    DEVNET_NODES: { nodes: number };
  }
}

export interface DevnetOptions {
  /** One, until nodes talk to each other. */
  readonly nodes?: number;
  /** What runs tasks. Default `auto`: QEMU, or an error that says how to install it. */
  readonly provider?: "auto" | "qemu" | "process";
  /** False: the node keeps transactions and runs nothing. Default true. */
  readonly execution?: boolean;
  /** Where database, files and keys are kept. Default: a temporary folder, removed at the end. */
  readonly stateDir?: string;
  /** Begin without the state that a `stateDir` holds. */
  readonly fresh?: boolean;
  /** True: 9944, 9995 and 9999 where they are free. Default false: any free ports. */
  readonly defaultPorts?: boolean;
  readonly taskDeadlineSeconds?: number;
  readonly memGb?: number;
  readonly numCpus?: number;
  readonly maxBodyMib?: number;
  readonly logLevel?: "trace" | "debug" | "info" | "warn" | "error";
  /** For the start of each part. Default 60,000. */
  readonly startTimeoutMs?: number;
  /** Ends the start. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (message: string) => void;
  /** Each line that the node logs, a JSON object. */
  readonly onNodeLine?: (line: string) => void;
  /** A part ended without having been told to. */
  readonly onExit?: (reason: string) => void;
}

export interface DevnetNode {
  readonly name: string;
  readonly rpcUrl: string;
  readonly httpUrl: string;
  /** `host:port`. */
  readonly p2pAddress: string;
  readonly publicKey: string;
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

/** A running network. `close` and `await using` end it, and leave nothing behind. */
export interface Devnet extends AsyncDisposable {
  readonly nodes: readonly [DevnetNode, ...DevnetNode[]];
  /** Developer keys, the same in every devnet. */
  readonly accounts: readonly [Account, ...Account[]];
  readonly postgres: Pick<Postgres, "stop" | "start" | "version" | "binaries" | "port">;
  readonly stateDir: string;
  /** What was decided otherwise than asked for, e.g. another port. */
  readonly warnings: readonly string[];
  /** A client of the first node with the first developer key. */
  client(options?: Partial<ConstructorParameters<typeof GevulotClient>[0]>): GevulotClient;
  close(): Promise<void>;
}

const START_TIMEOUT_MS = 60_000;

/**
 * Starts a Gevulot network on this machine: PostgreSQL, then a node that runs provers and verifiers in VMs.
 *
 * @example
 * ```ts
 * await using net = await startDevnet();
 * const run = await net.client().prove({ prover, verifier, args: ["--nonce", "42"] });
 * ```
 * @throws GevulotError `DEVNET_NODES`, `NODE_START_FAILED`, `QEMU_NOT_FOUND` and those of `createPostgres`
 */
export async function startDevnet(options: DevnetOptions = {}): Promise<Devnet> {
  const { nodes = 1, onProgress = () => {} } = options;
  if (nodes !== 1) {
    throw new GevulotError(
      "DEVNET_NODES",
      `${nodes} nodes were asked for; this version runs one. Leave --nodes out.`,
      {
        context: { nodes },
      },
    );
  }
  await using stack = createStack();
  const stateDir = await prepareStateDir(stack, options);
  const { accounts, nodeKeyFile } = await writeKeyFiles(join(stateDir, "keys"));
  const postgres = stack.use(
    await createPostgres({
      dataDir: join(stateDir, "postgres"),
      durable: options.stateDir !== undefined,
      startTimeoutMs: options.startTimeoutMs ?? START_TIMEOUT_MS,
      onProgress,
      onExit: (reason) => options.onExit?.(`PostgreSQL: ${reason}`),
      ...(options.signal && { signal: options.signal }),
    }),
  );
  const warnings: string[] = [];
  const databaseUrl = await postgres.createDatabase("node0");
  const node = await createNode(stack, options, { stateDir, nodeKeyFile, databaseUrl, warnings });
  const running = stack.move();
  const close = async () => {
    await running[Symbol.asyncDispose]();
  };
  return {
    nodes: [node],
    accounts: accounts as [Account, ...Account[]],
    postgres,
    stateDir,
    warnings,
    client: (more = {}) =>
      new GevulotClient({ url: node.rpcUrl, key: accounts[0]?.secretKey as string, ...more }),
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function prepareStateDir(stack: DisposeStack, options: DevnetOptions): Promise<string> {
  if (options.stateDir === undefined) {
    const dir = await mkdtemp(join(tmpdir(), "gevulot-devnet-"));
    stack.defer(() => rm(dir, { recursive: true, force: true }));
    return dir;
  }
  const dir = resolve(options.stateDir);
  if (options.fresh) {
    for (const part of ["postgres", "node0", "keys"])
      await rm(join(dir, part), { recursive: true, force: true });
  }
  await mkdir(dir, { recursive: true });
  return dir;
}

interface NodePlace {
  readonly stateDir: string;
  readonly nodeKeyFile: string;
  readonly databaseUrl: string;
  readonly warnings: string[];
}

async function createNode(
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
        nodeKeyFile: place.nodeKeyFile,
        p2pListenAddr: `127.0.0.1:${ports.p2p}`,
        httpDownloadPort: http,
        provider: options.provider ?? "auto",
        numCpus: options.numCpus,
        memGb: options.memGb,
        logLevel: options.logLevel,
        taskDeadlineSeconds: options.taskDeadlineSeconds,
        maxBodyMib: options.maxBodyMib,
      },
      logFile,
      timeoutMs: options.startTimeoutMs ?? START_TIMEOUT_MS,
      ...(options.signal && { signal: options.signal }),
      ...(options.onNodeLine && { onLine: options.onNodeLine }),
      onExit: (reason) => options.onExit?.(`the node: ${reason}`),
    });
  };
  current = await start(ports.rpc, ports.http);
  stack.defer(() => current.kill("SIGTERM"));
  const { rpcUrl, httpUrl, p2pAddress, publicKey } = current.ready;
  const portOf = (url: string) => Number(new URL(url).port);
  return {
    name: "node0",
    rpcUrl,
    httpUrl,
    p2pAddress,
    publicKey,
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
