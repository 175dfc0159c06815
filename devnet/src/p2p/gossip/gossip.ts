import { encodeTransaction, type Transaction } from "gevulot-sdk/protocol";
import type { Logger } from "pino";
import type { NodeList } from "../mesh/nodeList.ts";
import type { Peer } from "../mesh/peer.ts";
import type { PeerLimits } from "../peerLimits.ts";
import type { PeerNetworkDeps } from "../peerNetwork.ts";
import { decodeMessage } from "../wire/message.ts";
import { decodePeerMessage, type ItemKind, type PeerMessage } from "../wire/peerMessage.ts";
import { parseAddress, type SocketAddress } from "../wire/socketAddress.ts";
import { createCatchUp } from "./catchUp.ts";
import type { DiagnosticsDesk } from "./diagnostics.ts";
import { createOutbox } from "./outbox.ts";
import { createItemReceiver, reportId } from "./receiveItems.ts";
import { createItemServer } from "./serveItems.ts";
import { isTooLargeFor } from "./tooLarge.ts";
import { createWants, type WantOutcome } from "./wants.ts";

/** Of one peer at once; its answers wait in the socket until they are read. */
const MAX_ASKED = 64;

/** What travels between connected peers. It knows no sockets, and no addresses. */
export interface Gossip {
  joined(peer: Peer): void;
  left(peer: Peer): void;
  /** Deals with one message. Resolves when the next one may be read: that is the backpressure. */
  handle(peer: Peer, message: Uint8Array): Promise<void>;
  /** Tells the others of a new peer: one of version 1 announces nothing itself. */
  tellOfPeer(peer: Peer): void;
  broadcast(tx: Transaction): void;
  relay(hash: string): void;
  announceReport(report: Uint8Array): void;
  /** Something is under way that `tick` may have to look after soon. */
  isBusy(): boolean;
  tick(): void;
  /** Asks all peers for what is new. */
  sync(): void;
  [Symbol.dispose](): void;
}

export interface GossipDeps extends Pick<PeerNetworkDeps, "receive" | "receiveReport" | "stores"> {
  readonly log: Logger;
  readonly now: () => number;
  readonly nodes: NodeList;
  readonly desk: DiagnosticsDesk;
  readonly peers: () => readonly Peer[];
  readonly fault: (peer: Peer, reason: string) => void;
  /** The peer is closed, without blame. */
  readonly drop: (peer: Peer, reason: string) => void;
  readonly onAnnouncement: () => void;
  /** A peer told where another node listens. */
  readonly onAddress: (address: SocketAddress, from: Peer) => void;
  readonly onTooLarge: (tx: Transaction, bytes: number, peers: readonly Peer[]) => void;
}

export function createGossip(deps: GossipDeps, limits: PeerLimits): Gossip {
  const { stores, fault } = deps;
  const flow = createItemFlow(deps, limits);
  const { freed, outbox, wants, tellAll, items, catchUp } = flow;
  const { handleModern, handleContract } = createHandlers(deps, flow);
  const isFull = ({ receiving }: Peer) =>
    receiving.count >= limits.maxReceiving || receiving.bytes >= limits.maxReceivingBytes;
  const untilRoom = async (peer: Peer): Promise<void> => {
    while (isFull(peer) && !peer.connection.isClosed) {
      await new Promise<void>((resolve) => freed.set(peer, resolve));
    }
  };
  return {
    joined(peer) {
      if (peer.isModern && stores && !peer.info.isBeacon) catchUp.start(peer);
    },
    left(peer) {
      outbox.peerLeft(peer);
      catchUp.peerLeft(peer);
      wants.peerLeft(peer);
      deps.desk.peerLeft(peer);
      freed.get(peer)?.();
    },
    async handle(peer, bytes) {
      peer.seen();
      if (!peer.isModern) {
        await handleContract(peer, bytes);
      } else {
        const message = decodePeerMessage(bytes);
        if (message?.type === "fault") return fault(peer, message.reason);
        // One of a later version.
        if (message !== null) await handleModern(peer, message);
      }
      await untilRoom(peer);
      peer.seen();
    },
    tellOfPeer(peer) {
      const { address } = peer.info;
      for (const other of deps.peers()) if (other !== peer) other.send({ type: "peer", address });
    },
    broadcast: (tx) => broadcast(deps, limits, flow, tx),
    relay: (hash) => tellAll("transaction", hash),
    announceReport(report) {
      const id = reportId(report);
      items.markSeen("report", id, report);
      for (const peer of deps.peers()) outbox.push(peer, "report", id, report);
    },
    isBusy: () =>
      wants.size > 0 ||
      deps.peers().some(({ isBehind, connection }) => isBehind || connection.queuedBytes > 0),
    tick() {
      wants.tick();
      outbox.tick(deps.peers());
    },
    sync() {
      if (!stores) return;
      for (const peer of deps.peers()) if (peer.isModern && !peer.info.isBeacon) catchUp.start(peer);
    },
    [Symbol.dispose]: () => outbox[Symbol.dispose](),
  };
}

function broadcast(deps: GossipDeps, limits: PeerLimits, { items, outbox }: ItemFlow, tx: Transaction): void {
  const bytes = encodeTransaction(tx);
  items.markSeen("transaction", tx.hash, bytes);
  const isTooLarge = (peer: Peer) => isTooLargeFor(bytes.length, peer);
  const peers = deps.peers().filter(({ info }) => !info.isBeacon);
  const unreached = peers.filter(isTooLarge);
  for (const peer of peers) {
    if (isTooLarge(peer)) continue;
    if (peer.isModern) outbox.push(peer, "transaction", tx.hash, bytes);
    // Nothing tells it later what it missed: better a new connection than silence.
    else if (peer.connection.queuedBytes > limits.maxQueuedBytes) deps.drop(peer, "it does not read");
    else peer.sendContract({ type: "transaction", bytes });
  }
  if (unreached.length > 0) deps.onTooLarge(tx, bytes.length, unreached);
}

/** The parts that items pass through. */
function createItemFlow(deps: GossipDeps, limits: PeerLimits) {
  const { log, stores, fault } = deps;
  /** Who waits until a peer's slot is free. */
  const freed = new WeakMap<Peer, () => void>();
  const outbox = createOutbox(limits.maxQueuedBytes);
  const wants = createWants({
    maxWanted: limits.maxWanted,
    maxWantedOfOne: Math.ceil(limits.maxWanted / 8),
    maxAsked: MAX_ASKED,
    timeoutMs: limits.wantTimeoutMs,
    now: deps.now,
    ask: (peer, kind, ids) => peer.send({ type: "want", kind, ids }),
  });
  const tellAll = (kind: ItemKind, id: string) => {
    for (const peer of deps.peers()) outbox.have(peer, kind, id);
  };
  const items = createItemReceiver(
    {
      log,
      wants,
      fault,
      receive: deps.receive,
      receiveReport: deps.receiveReport,
      onReport: (id) => tellAll("report", id),
      onDone: (peer) => freed.get(peer)?.(),
    },
    limits.maxSeen,
  );
  const storeOf = (kind: ItemKind) => (kind === "transaction" ? stores?.transactions : stores?.reports);
  const server = createItemServer(
    stores && { transaction: stores.transactions, report: stores.reports },
    (peer, error) => log.warn({ peer: peer.info.address, reason: error.message }, "a peer's question waits"),
  );
  /** Which of these are not here. */
  const missingOf = async (peer: Peer, kind: ItemKind, ids: readonly string[]): Promise<string[]> => {
    for (const id of ids) peer.known.set(id, true);
    const unseen = ids.filter((id) => !items.isSeen(kind, id));
    if (unseen.length === 0) return [];
    const has = (await storeOf(kind)?.has(unseen)) ?? new Set(unseen);
    return unseen.filter((id) => !has.has(id));
  };
  const fetch = async (peer: Peer, kind: ItemKind, ids: readonly string[]): Promise<WantOutcome[]> => {
    const missing = await missingOf(peer, kind, ids);
    // It left in the meantime.
    if (peer.connection.isClosed) return missing.map(() => "failed");
    return Promise.all(missing.map((id) => wants.add(kind, id, peer)));
  };
  const catchUp = createCatchUp({
    log,
    fetch,
    pageTimeoutMs: limits.wantTimeoutMs,
    retryMs: limits.leftItemsMs,
    now: deps.now,
  });
  return { freed, outbox, wants, tellAll, items, server, missingOf, catchUp };
}

type Have = Extract<PeerMessage, { type: "have" }>;
type ItemFlow = ReturnType<typeof createItemFlow>;

/** What each message of version 2 does. */
function createHandlers(deps: GossipDeps, flow: ItemFlow) {
  const { log, stores, fault } = deps;
  const { items, server, missingOf, catchUp, wants } = flow;
  const hearAnnouncement = (peer: Peer, bytes: Uint8Array): void => {
    // Each may be of a new key, which costs nothing to make, and a signature to check.
    if (!peer.announcements.take()) return;
    const { verdict, announcement } = deps.nodes.hear(
      bytes,
      peer.info.isKeyProven ? peer.info.publicKey : null,
    );
    if (verdict === "bad") fault(peer, "an announcement that its node did not sign");
    if (verdict !== "new" || announcement === null) return;
    for (const other of deps.peers()) if (other !== peer) other.send({ type: "announcement", bytes });
    deps.onAddress(announcement.address, peer);
    deps.onAnnouncement();
  };
  /** Waits for the look at the store, so that a peer can't ask for many at once; not for the items themselves. */
  const wantMissing = async (peer: Peer, { kind, ids }: Have): Promise<void> => {
    try {
      const missing = await missingOf(peer, kind, ids);
      if (!peer.connection.isClosed) for (const id of missing) void wants.add(kind, id, peer);
    } catch (error) {
      const reason = (error as Error).message;
      log.warn({ peer: peer.info.address, reason }, "what a peer has is looked at later");
    }
  };
  const handleModern = async (peer: Peer, message: PeerMessage): Promise<void> => {
    switch (message.type) {
      case "item":
        return items.receive(peer, message.kind, message.bytes);
      case "have":
        return wantMissing(peer, message);
      case "want":
      case "since":
        if (!server.ask(peer, message)) fault(peer, "too many questions at once");
        return;
      case "gone":
        for (const id of message.ids) wants.gone(message.kind, id, peer);
        return;
      case "page":
        if (!catchUp.page(peer, message)) log.debug({ peer: peer.info.address }, "a page that came late");
        return;
      case "behind":
        return stores ? catchUp.start(peer) : undefined;
      case "announcement":
        return hearAnnouncement(peer, message.bytes);
      case "contract":
        return handleContract(peer, message.bytes);
      case "peer": {
        const address = parseAddress(message.address);
        if (address === null) return fault(peer, "an address that is none");
        return deps.onAddress(address, peer);
      }
      case "hello":
        return fault(peer, "a second hello");
      case "ping":
    }
  };
  const handleContract = async (peer: Peer, bytes: Uint8Array): Promise<void> => {
    const message = decodeMessage(bytes);
    if (message.type === "transaction") items.receive(peer, "transaction", message.bytes);
    else await deps.desk.handle(peer, message);
  };
  return { handleModern, handleContract };
}
