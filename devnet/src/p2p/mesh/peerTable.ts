import type { Peer } from "./peer.ts";

/** Who is connected. Of each peer one connection is used; which, both sides decide alike. */
export interface PeerTable {
  /** Adds a connection. What it returns is to be closed: another of the same peer, or the new one itself. */
  add(peer: Peer): Peer | null;
  remove(peer: Peer): void;
  has(identity: string): boolean;
  isListed(peer: Peer): boolean;
  /** The connection in use of each peer. */
  list(): readonly Peer[];
  /** All connections, with those that are about to go. */
  all(): readonly Peer[];
  readonly size: number;
}

/** The one in use, and one that its peer may have left behind. */
const MAX_CONNECTIONS = 2;
/** Connections that are this far apart were not dialled at once. */
const SAME_TIME_MS = 10_000;

export function createPeerTable(): PeerTable {
  const byIdentity = new Map<string, Peer[]>();
  return {
    add(peer) {
      const others = byIdentity.get(peer.identity);
      const last = others?.at(-1);
      if (!others || !last) {
        byIdentity.set(peer.identity, [peer]);
        return null;
      }
      if (last.isOutbound !== peer.isOutbound) {
        // Both dialled at once: the hashes are the same on both sides, so that both keep the same one. Later on, who
        // dials has lost the first, and this side does not know it yet.
        const isLater = peer.info.connectedAtMs - last.info.connectedAtMs > SAME_TIME_MS;
        if (!isLater && last.handshakeHash < peer.handshakeHash) return peer;
        others[others.length - 1] = peer;
        return last;
      }
      // Who dialled twice knows why: one address too many. Who was dialled can't know whether the first is dead.
      if (peer.isOutbound) return peer;
      others.push(peer);
      return others.length > MAX_CONNECTIONS ? others.shift()! : null;
    },
    remove(peer) {
      const left = (byIdentity.get(peer.identity) ?? []).filter((each) => each !== peer);
      if (left.length === 0) byIdentity.delete(peer.identity);
      else byIdentity.set(peer.identity, left);
    },
    has: (identity) => byIdentity.has(identity),
    isListed: (peer) => byIdentity.get(peer.identity)?.includes(peer) ?? false,
    list: () => [...byIdentity.values()].map((peers) => peers.at(-1)!),
    all: () => [...byIdentity.values()].flat(),
    get size() {
      return byIdentity.size;
    },
  };
}
