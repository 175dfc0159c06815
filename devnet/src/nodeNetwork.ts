import { encodeTransaction, type Transaction } from "gevulot-sdk/protocol";
import type { Logger } from "pino";
import type { DisposeStack } from "./disposeStack.ts";
import type { NodeFaults } from "./faults/nodeFaults.ts";
import type { Intake, Origin } from "./intake/intake.ts";
import { createNativeCrypto } from "./intake/nativeCrypto.ts";
import type { Metrics } from "./observe/metrics.ts";
import type { NodeOptions } from "./options.ts";
import { type AliveNodes, createAliveNodes } from "./p2p/aliveNodes.ts";
import { createPeerNetwork } from "./p2p/createPeerNetwork.ts";
import { isTooLargeFor } from "./p2p/gossip/tooLarge.ts";
import {
  P2P_VERSION,
  type PeerNetwork,
  type PeerNetworkOptions,
  type PeerResources,
} from "./p2p/peerNetwork.ts";
import type { NodeInfoReply } from "./rpc/wireSchemas.ts";
import { createReportInbox } from "./schedule/reportInbox.ts";
import { createSettler, type Settler, type SettlerDeps } from "./schedule/settler.ts";
import type { Database } from "./store/database.ts";
import { createItemStores } from "./store/items.ts";
import { findRun } from "./store/readTransactions.ts";
import { addKnownNodes, type Sharing } from "./store/sharedRuns.ts";
import { addUnreachedPeers } from "./store/unreachedPeers.ts";

/** A node's part in the network: what it tells, hears, and decides with others. */
export interface NodeNetwork {
  readonly address: string;
  readonly peers: PeerNetwork["peers"];
  readonly banFileServer: PeerNetwork["banFileServer"];
  info(): Omit<NodeInfoReply, "machine" | "version">;
  /** How a Run that comes now is shared. */
  sharing(): Sharing;
  /** Something about the tasks of a Run changed here. */
  runChanged(run: string): void;
  stored(tx: Transaction, origin: Origin): void;
}

export interface NodeNetworkDeps {
  readonly log: Logger;
  readonly database: Database;
  readonly intake: Intake;
  readonly metrics: Metrics;
  readonly secretKey: Uint8Array;
  readonly publicKey: string;
  readonly httpPort: number;
  /** What is to go wrong here, for tests of users. */
  readonly faults?: NodeFaults | undefined;
  /** For tasks; nothing where this node runs none. */
  readonly resources: PeerResources;
  /** The queue is to be looked at again. */
  readonly wakeScheduler: () => void;
  /** Listeners of a Run are to look again. */
  readonly notifyRun: (run: string) => void;
}

const NOTHING: PeerResources = { memMib: 0, cpus: 0, gpus: 0 };
/** What a node has for its result besides the longest time of a task: boot, transport, its own queue. */
const DELIVERY_MARGIN_MS = 60_000;
/** Who comes back with another key each time makes many. */
const MAX_BANNED_TOLD = 100;

export async function createNodeNetwork(
  stack: DisposeStack,
  deps: NodeNetworkDeps,
  options: NodeOptions,
): Promise<NodeNetwork> {
  const { log, database, intake, metrics, publicKey, notifyRun } = deps;
  const execute = !options.noExecution;
  const own = { publicKey, resources: deps.resources };
  await addKnownNodes(database, [publicKey]);

  const runChanged = (run: string): void => {
    notifyRun(run);
    settler.touch(run);
  };
  // Made before what it settles can come, but nothing settles before the network is there.
  let network: PeerNetwork | null = null;
  const others = createAliveNodes(() => network, publicKey);
  const nodes = () => [...(execute ? [own] : []), ...others.list()];
  const announce = (report: Uint8Array) => network?.announce(report);
  const inbox = createReportInbox({
    ...{ database, crypto: createNativeCrypto() },
    ...{ onRunChanged: runChanged, onTakenUp: announce },
  });
  const settler = stack.use(openSettler({ ...deps, nodes, announce }, options));
  const remember = createNodeMemory(log, database, others, (fresh) => {
    for (const key of fresh) inbox.known(key);
    settler.touchAll();
  });
  network = stack.use(
    await createPeerNetwork(
      {
        ...{ log, secretKey: deps.secretKey, metrics: () => metrics.text() },
        resources: () => (execute ? deps.resources : NOTHING),
        receive: (tx, from) => intake.receive(tx, from.address),
        receiveReport: async (report, from) => (await inbox.receive(report, from.address)) === "taken",
        stores: createItemStores(database),
        reach: deps.faults,
        events: { onChange: remember, onMessage: metrics.p2pMessage },
      },
      addressesOf(deps, options),
    ),
  );
  metrics.watch({
    connectedPeers: () => network?.peers().length ?? 0,
    p2pProtocolVersion: () => P2P_VERSION,
  });
  const runOf = (tx: Transaction): Promise<string | null> =>
    tx.payload.kind === "cancel" ? Promise.resolve(tx.payload.parent) : findRun(database, tx.hash);

  return {
    address: network.address,
    peers: network.peers,
    banFileServer: network.banFileServer,
    info: () => infoOf(network as PeerNetwork, publicKey, execute ? options.execution : "none"),
    sharing: () => (others.list().length > 0 ? options.execution : null),
    runChanged: settler.touch,
    stored(tx, origin) {
      if (origin === "here") network?.broadcast(tx);
      network?.relay(tx.hash);
      noteUnreached(deps, network?.peers() ?? [], tx);
      if (tx.payload.kind === "run") inbox.known(tx.hash);
      runOf(tx).then(
        (run) => run !== null && settler.touch(run),
        // The next look at all open Runs finds it.
        (error: Error) => log.debug({ reason: error.message }, "a run is looked at later"),
      );
    },
  };
}

/** Also of what came from a peer: who is connected to all of us gets it from none. */
function noteUnreached(
  { log, database }: NodeNetworkDeps,
  connected: ReturnType<PeerNetwork["peers"]>,
  tx: Transaction,
): void {
  const old = connected.filter(({ protocolVersion, isBeacon }) => protocolVersion < P2P_VERSION && !isBeacon);
  if (old.length === 0) return;
  const bytes = encodeTransaction(tx).length;
  if (!isTooLargeFor(bytes, { isModern: false })) return;
  const peers = old.map(({ address }) => address);
  addUnreachedPeers(database, { tx: tx.hash, bytes, peers }).catch((error: Error) =>
    log.warn(
      { tx: tx.hash, peers, reason: error.message },
      "that these peers miss a transaction is not noted",
    ),
  );
}

function addressesOf(deps: NodeNetworkDeps, options: NodeOptions): PeerNetworkOptions {
  return {
    listen: options.p2pListenAddr,
    advertised: options.p2pAdvertisedListenAddr,
    discovery: options.p2pDiscoveryAddrs,
    passphrase: options.p2pPskPassphrase,
    httpPort: deps.httpPort,
  };
}

function openSettler(
  deps: NodeNetworkDeps & Pick<SettlerDeps, "nodes" | "announce">,
  options: NodeOptions,
): Settler {
  const { provers, verifiers, attempts, noExecution, taskDeadlineSeconds } = options;
  const deliveryMs = taskDeadlineSeconds * 1_000 + DELIVERY_MARGIN_MS;
  return createSettler(
    {
      ...deps,
      ownKey: deps.publicKey,
      nodeSecretKey: deps.secretKey,
      onSettled: deps.wakeScheduler,
      onRunChanged: deps.notifyRun,
    },
    { execute: !noExecution, provers, verifiers, attempts, deliveryMs },
  );
}

function infoOf(
  network: PeerNetwork,
  publicKey: string,
  execution: NodeInfoReply["execution"],
): Omit<NodeInfoReply, "machine" | "version"> {
  const peers = network.peers().map((peer) => ({
    address: peer.address,
    httpUrl: peer.httpUrl,
    protocolVersion: peer.protocolVersion,
    publicKey: peer.publicKey,
    resources: peer.resources,
    connectedAt: new Date(peer.connectedAtMs).toISOString(),
    lastSeenAt: new Date(peer.lastSeenAtMs).toISOString(),
  }));
  const nodes = network.nodes().map((node) => ({ publicKey: node.publicKey, resources: node.resources }));
  const banned = network
    .banned()
    .slice(-MAX_BANNED_TOLD)
    .map(({ untilMs, ...peer }) => {
      return { ...peer, until: new Date(untilMs).toISOString() };
    });
  return { publicKey, p2pAddress: network.address, execution, peers, banned, nodes };
}

/** Keeps the keys of the nodes that were ever there: their results count. */
function createNodeMemory(
  log: Logger,
  database: Database,
  others: AliveNodes,
  onChange: (fresh: readonly string[]) => void,
): () => void {
  const known = new Set<string>();
  let last = "";
  return () => {
    const keys = others.list().map(({ publicKey }) => publicKey);
    const fresh = keys.filter((key) => !known.has(key));
    const now = keys.sort().join();
    if (now === last) return;
    last = now;
    if (fresh.length === 0) return onChange([]);
    addKnownNodes(database, fresh).then(
      () => {
        for (const key of fresh) known.add(key);
        onChange(fresh);
      },
      (error: Error) => {
        last = "";
        log.warn({ reason: error.message }, "a new node is noted later");
      },
    );
  };
}
