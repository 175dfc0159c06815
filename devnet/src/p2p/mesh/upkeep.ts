import type { DiagnosticsDesk } from "../gossip/diagnostics.ts";
import type { Gossip } from "../gossip/gossip.ts";
import type { PeerLimits } from "../peerLimits.ts";
import type { Mesh } from "./mesh.ts";
import type { NodeList } from "./nodeList.ts";
import type { Peer } from "./peer.ts";
import type { Self } from "./self.ts";

/** An old peer need not answer questions; one that did, and then is silent for so many times as long, is gone. */
const OLD_PEER_PATIENCE = 3;

export interface UpkeepDeps {
  readonly mesh: Mesh;
  readonly gossip: Gossip;
  readonly desk: DiagnosticsDesk;
  readonly nodes: NodeList;
  readonly self: Self;
  readonly now: () => number;
  readonly onChange: () => void;
}

/** It speaks, but does not read: what waits for it must not grow, nor be kept for ever. */
function isStalled({ connection, taking }: Peer, nowMs: number, limits: PeerLimits): boolean {
  const { queuedBytes } = connection;
  if (queuedBytes === 0 || queuedBytes < taking.queuedBytes) taking.atMs = nowMs;
  taking.queuedBytes = queuedBytes;
  return queuedBytes > 2 * limits.maxQueuedBytes || nowMs - taking.atMs > limits.stallMs;
}

export interface Upkeep extends AsyncDisposable {
  /** Something happened: it is looked at soon, also where there was nothing to do. */
  wake(): void;
}

/** What is done from time to time, until it is disposed of: then it says good-bye. */
export function createUpkeep(deps: UpkeepDeps, limits: PeerLimits): Upkeep {
  const { mesh, gossip, desk, nodes, self, now } = deps;
  let announcedAtMs = now();
  let syncedAtMs = now();

  const look = (peer: Peer): void => {
    const nowMs = now();
    const silentMs = nowMs - peer.info.lastSeenAtMs;
    // While this node does not read it can't hear.
    const { count, bytes } = peer.receiving;
    const isReading = count < limits.maxReceiving && bytes < limits.maxReceivingBytes;
    const hasSpoken = peer.isModern || peer.info.softwareVersion !== null;
    const patience = peer.isModern ? 1 : OLD_PEER_PATIENCE;
    if (hasSpoken && isReading && silentMs > limits.silenceMs * patience) {
      mesh.drop(peer, `silent for ${Math.round(silentMs / 1_000)} s`);
    } else if (isStalled(peer, nowMs, limits)) {
      mesh.drop(peer, "it does not read");
    } else if (nowMs - peer.lastSentAtMs >= limits.pingMs) {
      if (peer.isModern) peer.send({ type: "ping" });
      else desk.ask(peer, "version");
    }
  };
  let timer: NodeJS.Timeout | undefined;
  let nextAtMs = 0;
  let isOver = false;
  const plan = (restMs: number): void => {
    clearTimeout(timer);
    if (isOver) return;
    nextAtMs = now() + restMs;
    timer = setTimeout(tick, restMs);
  };
  const restMs = (): number => {
    if (gossip.isBusy()) return limits.tickMs;
    return Math.max(limits.tickMs, Math.min(limits.idleTickMs, mesh.nextTickAtMs() - now()));
  };
  const tick = (): void => {
    for (const peer of mesh.table.all()) look(peer);
    mesh.tick();
    gossip.tick();
    if (nodes.expire()) deps.onChange();
    if (now() - announcedAtMs >= limits.announceMs) {
      announcedAtMs = now();
      self.announce(mesh.table.list(), "alive");
    }
    if (now() - syncedAtMs >= limits.syncMs) {
      syncedAtMs = now();
      gossip.sync();
    }
    plan(restMs());
  };
  mesh.tick();
  plan(limits.tickMs);
  return {
    wake() {
      if (nextAtMs - now() > limits.tickMs) plan(limits.tickMs);
    },
    async [Symbol.asyncDispose]() {
      isOver = true;
      clearTimeout(timer);
      self.announce(mesh.table.list(), "leaving");
    },
  };
}
