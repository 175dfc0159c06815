import { randomBytes } from "node:crypto";
import { SECRET_KEY_BYTES, verifySignature } from "gevulot-sdk/protocol";
import { createStack } from "../disposeStack.ts";
import { createNativeCrypto } from "../intake/nativeCrypto.ts";
import { publicKeyOf } from "../nativeKeys.ts";
import { createDiagnosticsDesk, type DiagnosticsDesk } from "./gossip/diagnostics.ts";
import { createGossip, type Gossip } from "./gossip/gossip.ts";
import { createIntroduce } from "./mesh/introduce.ts";
import { createMesh, type Mesh, type MeshDeps } from "./mesh/mesh.ts";
import { createNodeList } from "./mesh/nodeList.ts";
import { checkDiscovery, ownAddress } from "./mesh/ownAddress.ts";
import { createSelf } from "./mesh/self.ts";
import { untilConnected } from "./mesh/untilConnected.ts";
import { createUpkeep, type Upkeep } from "./mesh/upkeep.ts";
import { DEFAULT_PASSPHRASE, pskOf } from "./noise/handshake.ts";
import { DEFAULT_PEER_LIMITS, type PeerLimits } from "./peerLimits.ts";
import {
  P2P_VERSION,
  type PeerNetwork,
  type PeerNetworkDeps,
  type PeerNetworkOptions,
} from "./peerNetwork.ts";
import { readSoftwareVersion } from "./softwareVersion.ts";
import { formatAddress } from "./wire/socketAddress.ts";

/** Joins the network of nodes (protocol section 7, docs/p2p-v2.md). */
export async function createPeerNetwork(
  deps: PeerNetworkDeps,
  options: PeerNetworkOptions,
): Promise<PeerNetwork> {
  const limits = { ...DEFAULT_PEER_LIMITS, ...options.limits };
  const discovery = checkDiscovery(options.discovery ?? []);
  const listenAddress = await ownAddress(options.listen, options.advertised);
  await using stack = createStack();
  const parts = createParts(deps, limits);
  const { gossip, desk, nodes, now, onChange, peers } = parts;
  stack.defer(() => gossip[Symbol.dispose]());
  const { secretKey, resources, log } = deps;
  const self = createSelf(
    { secretKey, now, resources },
    { listenAddress, httpPort: options.httpPort ?? null },
  );
  const mesh = stack.use(
    await createMesh(
      {
        log,
        now,
        isCut: deps.reach?.isCut,
        introduce: createIntroduce({ secretKey, verify: parts.verify, now, limits }),
        greeting: (arriving) => self.greeting(peers(), arriving),
        ...meetings({ ...parts, announce: (peer) => self.announceTo(peer, nodes) }),
        onMessage(peer, message) {
          deps.events?.onMessage?.();
          return gossip.handle(peer, message).finally(parts.wake);
        },
      },
      {
        listen: options.listen,
        discovery,
        psk: pskOf(options.passphrase ?? DEFAULT_PASSPHRASE),
        protocolVersion: options.protocolVersion ?? P2P_VERSION,
        limits,
      },
    ),
  );
  self.listensOn(mesh.port, options.advertised?.port);
  parts.meshed(mesh);
  const cuts = deps.reach?.onCut(mesh.recut);
  stack.defer(() => cuts?.[Symbol.dispose]());
  parts.kept(stack.use(createUpkeep({ mesh, gossip, desk, nodes, self, now, onChange }, limits)));
  const running = stack.move();
  return {
    address: formatAddress({ host: options.listen.host, port: mesh.port }),
    broadcast: gossip.broadcast,
    relay: gossip.relay,
    announce: gossip.announceReport,
    peers: () => peers().map(({ info }) => info),
    nodes: () => self.withOwn(nodes.alive()),
    banned: mesh.banned,
    banFileServer: mesh.banFileServer,
    metricsOf: (peerAddress) => {
      const peer = peers().find(({ info }) => info.address === peerAddress);
      return peer ? desk.metricsOf(peer) : Promise.resolve(null);
    },
    untilConnected: (count, waitOptions) =>
      untilConnected({ listeners: parts.listeners, connected: () => peers().length }, count, waitOptions),
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
}

/** What deals with messages. It is there before the mesh, which hands it the first one. */
function createParts(deps: PeerNetworkDeps, limits: PeerLimits) {
  const { log, now = Date.now, secretKey, events } = deps;
  const verify = createNativeCrypto().verifySignature ?? verifySignature;
  const listeners = new Set<() => void>();
  const onChange = () => {
    events?.onChange?.();
    for (const listener of listeners) listener();
  };
  let mesh: Mesh | null = null;
  let upkeep: Upkeep | null = null;
  const wake = () => upkeep?.wake();
  const peers = () => mesh?.table.list() ?? [];
  const publicKey = secretKey && publicKeyOf(secretKey);
  const nodes = createNodeList(
    { verify, now },
    { ownKey: publicKey, timeoutMs: limits.nodeTimeoutMs, maxNodes: limits.maxNodes },
  );
  const desk = createDiagnosticsDesk({
    resources: deps.resources,
    metrics: deps.metrics,
    // The answers have a place for a key that a beacon does not have.
    publicKey: publicKey ?? publicKeyOf(randomBytes(SECRET_KEY_BYTES)),
    softwareVersion: readSoftwareVersion(),
    onChange,
  });
  const gossip = createGossip(
    {
      ...deps,
      now,
      nodes,
      desk,
      peers,
      fault: (peer, reason) => mesh?.ban(peer, reason),
      drop: (peer, reason) => mesh?.drop(peer, reason),
      onAddress: (listensAt, from) => mesh?.learn(listensAt, from),
      onAnnouncement: onChange,
      onTooLarge(tx, bytes, tooOld) {
        const infos = tooOld.map(({ info }) => info);
        const addresses = infos.map(({ address }) => address);
        log.warn({ tx: tx.hash, bytes, peers: addresses }, "a transaction is too large for these peers");
        events?.onTooLarge?.(tx, bytes, infos);
      },
    },
    limits,
  );
  const meshed = (made: Mesh) => {
    mesh = made;
  };
  const kept = (made: Upkeep) => {
    upkeep = made;
  };
  return { gossip, desk, nodes, now, verify, listeners, onChange, peers, wake, meshed, kept };
}

/** What is said when a peer comes, and cleared when it goes. */
function meetings(deps: {
  readonly gossip: Gossip;
  readonly desk: DiagnosticsDesk;
  readonly onChange: () => void;
  /** What is done from time to time is looked at soon. */
  readonly wake: () => void;
  readonly announce: (peer: Parameters<Gossip["joined"]>[0]) => void;
}): Pick<MeshDeps, "onJoined" | "onLeft"> {
  const { gossip, desk } = deps;
  return {
    onJoined(peer) {
      deps.announce(peer);
      gossip.tellOfPeer(peer);
      gossip.joined(peer);
      desk.ask(peer, "version");
      if (peer.info.protocolVersion > 0) desk.ask(peer, "resources");
      deps.onChange();
      deps.wake();
    },
    onLeft(peer) {
      gossip.left(peer);
      deps.onChange();
      deps.wake();
    },
  };
}
