import { mkdtemp, realpath } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { GevulotClient, GevulotError } from "gevulot-sdk";
import { createStack, type DisposeStack } from "../disposeStack.ts";
import { removeTree } from "../removeTree.ts";
import { type Checkpoint, createCheckpoint } from "../state/snapshots.ts";
import type { StateHost } from "../state/stateHost.ts";
import { type Account, writeKeyFiles } from "./accounts.ts";
import { claimDevnet } from "./claimDevnet.ts";
import { createDevnetFaults, type DevnetFaults } from "./devnetFaults.ts";
import { createDevnetNode, type DevnetNode } from "./devnetNode.ts";
import { type DevnetOptions, MAX_NODES, START_TIMEOUT_MS } from "./devnetOptions.ts";
import { createDevnetState } from "./devnetState.ts";
import { untilMesh } from "./mesh.ts";
import { openExplorer } from "./openExplorer.ts";
import { requireFreePort } from "./ports.ts";
import { createPostgres, type Postgres } from "./postgres.ts";
import { createReaper, type Reaper } from "./reaper.ts";
import { startAgain } from "./startAgain.ts";
import { emptyStateDir, ensureStateDir } from "./stateDir.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    DEVNET_NODES: { nodes: number };
  }
}

/** A running network. `close` and `await using` end it, and leave nothing behind. */
export interface Devnet extends AsyncDisposable {
  readonly nodes: readonly [DevnetNode, ...DevnetNode[]];
  /** Developer keys, the same in every devnet. */
  readonly accounts: readonly [Account, ...Account[]];
  readonly postgres: Pick<Postgres, "stop" | "start" | "version" | "binaries" | "port">;
  readonly stateDir: string;
  /** The page that shows the network live; null where none was asked for. */
  readonly explorerUrl: string | null;
  /** What was decided otherwise than asked for, e.g. another port. */
  readonly warnings: readonly string[];
  /** Stops PostgreSQL and all nodes, and starts them again, where they were. */
  restart(): Promise<void>;
  /** Empties databases and files of all nodes, and starts them again; keys and addresses stay. */
  reset(): Promise<void>;
  /**
   * Keeps what all nodes know, to go back to it while the devnet runs, as often as wanted: Runs that came since are then
   * unknown everywhere, and tasks that run are ended.
   */
  checkpoint(): Promise<Checkpoint>;
  /** What can be made to go wrong, for tests. */
  readonly faults: DevnetFaults;
  /** What snapshots and exports are made of, and put in the place of. */
  readonly state: StateHost;
  /** A client of the first node with the first developer key. */
  client(options?: Partial<ConstructorParameters<typeof GevulotClient>[0]>): GevulotClient;
  close(): Promise<void>;
}

/**
 * Starts a Gevulot network on this machine: PostgreSQL, then nodes that run provers and verifiers in VMs. It resolves
 * when all nodes know each other.
 *
 * @example
 * ```ts
 * await using net = await startDevnet();
 * const run = await net.client().prove({ prover, verifier, args: ["--nonce", "42"] });
 * ```
 * @throws GevulotError `DEVNET_NODES`, `DEVNET_RUNNING`, `DEVNET_NO_MESH`, `NODE_START_FAILED`, `QEMU_NOT_FOUND` and those of `createPostgres`
 */
export async function startDevnet(options: DevnetOptions = {}): Promise<Devnet> {
  const { nodes: count = 1, onProgress = () => {} } = options;
  if (!Number.isInteger(count) || count < 1 || count > MAX_NODES) {
    throw new GevulotError("DEVNET_NODES", `A devnet has 1 to ${MAX_NODES} nodes, not ${count}.`, {
      context: { nodes: count },
    });
  }
  await using stack = createStack();
  const reaper = stack.use(createReaper());
  const stateDir = await prepareStateDir(stack, reaper, options);
  const { accounts, nodeKeyFiles } = await writeKeyFiles(join(stateDir, "keys"), count);
  const { postgresPort } = options;
  if (postgresPort !== undefined) await requireFreePort(postgresPort, "--postgres-port");
  const starting = createPostgres({
    dataDir: join(stateDir, "postgres"),
    durable: options.stateDir !== undefined,
    startTimeoutMs: options.startTimeoutMs ?? START_TIMEOUT_MS,
    onProgress,
    ...(postgresPort !== undefined && { port: postgresPort }),
    onSpawn: reaper.watch,
    onExit: (reason) => options.onExit?.(`PostgreSQL: ${reason}`),
    ...(options.signal && { signal: options.signal }),
  }).then(stack.use);
  const warnings: string[] = [];
  const create = (index: number, discovery: Promise<readonly string[]>): Promise<DevnetNode> => {
    const databaseUrl = starting.then((postgres) => postgres.createDatabase(`node${index}`));
    // Told by the start of PostgreSQL itself.
    databaseUrl.catch(() => {});
    const nodeKeyFile = nodeKeyFiles[index] as string;
    const place = { index, stateDir, discovery, nodeKeyFile, databaseUrl, warnings, onSpawn: reaper.watch };
    return createDevnetNode(stack, options, place);
  };
  const starts = startNodes(count, create, options.join === undefined ? [] : [options.join]);
  const [postgres, ...all] = await allStarted([starting, ...starts]);
  const nodes = all as [DevnetNode, ...DevnetNode[]];
  const [first] = nodes;
  // Each for itself would stop one after the other.
  stack.defer(async () => void (await Promise.all(nodes.map((node) => node.kill()))));
  if (nodes.length > 1) onProgress("waiting for the nodes to find each other");
  await untilMesh(nodes, options);
  const state = createDevnetState(nodes, stateDir, options);
  const again = (fresh: boolean) => startAgain({ nodes, postgres, options }, fresh);
  const { explorer: wanted = false, defaultPorts = false } = options;
  const { port } = wanted === true ? {} : wanted || {};
  const explorer = wanted === false ? null : stack.use(await openExplorer(nodes, { port, defaultPorts }));
  const running = stack.move();
  const close = async () => {
    await running[Symbol.asyncDispose]();
  };
  return {
    nodes,
    accounts: accounts as [Account, ...Account[]],
    postgres,
    stateDir,
    explorerUrl: explorer?.url ?? null,
    warnings,
    faults: createDevnetFaults(nodes, options),
    checkpoint: () => createCheckpoint(state),
    state,
    restart: () => again(false),
    reset: () => again(true),
    client: (more = {}) =>
      new GevulotClient({ url: first.rpcUrl, key: accounts[0]?.secretKey as string, ...more }),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** All at once: a node loads its programs while PostgreSQL and the first node, whom it is to meet, start. */
function startNodes(
  count: number,
  create: (index: number, discovery: Promise<readonly string[]>) => Promise<DevnetNode>,
  joined: readonly string[],
): Promise<DevnetNode>[] {
  const first = create(0, Promise.resolve(joined));
  const meet = first.then(({ p2pAddress }) => [p2pAddress, ...joined]);
  meet.catch(() => {});
  return [first, ...Array.from({ length: count - 1 }, (_, index) => create(index + 1, meet))];
}

/** Where one fails, the others have ended their starts, so that the stack knows of them. */
async function allStarted<const T extends readonly Promise<unknown>[]>(
  starts: T,
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  const started = await Promise.allSettled(starts);
  for (const each of started) if (each.status === "rejected") throw each.reason;
  return started.map((each) => (each as PromiseFulfilledResult<unknown>).value) as never;
}

async function prepareStateDir(stack: DisposeStack, reaper: Reaper, options: DevnetOptions): Promise<string> {
  const { stateDir: kept, fresh = false } = options;
  const stateDir = kept === undefined ? await mkdtemp(join(tmpdir(), "gevulot-devnet-")) : resolve(kept);
  if (kept === undefined) {
    reaper.removeLater(stateDir);
    stack.defer(() => removeTree(stateDir));
  }
  await ensureStateDir(stateDir);
  stack.defer(await claimDevnet(stateDir));
  reaper.watchWorkspaces(await realpath(stateDir));
  if (fresh) await emptyStateDir(stateDir);
  return stateDir;
}
