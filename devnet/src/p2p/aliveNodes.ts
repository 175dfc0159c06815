import { P2P_VERSION, type PeerNetwork, type PeerResources } from "./peerNetwork.ts";

/** A node that is there and runs tasks. */
export interface AliveNode {
  readonly publicKey: string;
  readonly resources: PeerResources;
}

/** Knows which other nodes work: those of version 2 that are alive, and older ones that are connected. */
export interface AliveNodes {
  /** A peer may have come or gone. */
  look(): void;
  list(): readonly AliveNode[];
}

/**
 * A node that was connected and isn't any more is gone at once, not when its announcements fade; unless one that it
 * made since comes by others.
 */
export function createAliveNodes(
  network: () => Pick<PeerNetwork, "peers" | "nodes"> | null,
  ownKey: string,
  now: () => number = Date.now,
): AliveNodes {
  let connected = new Set<string>();
  const goneAt = new Map<string, number>();

  const look = (): void => {
    const keys = (network()?.peers() ?? []).flatMap(({ publicKey }) => publicKey ?? []);
    const before = connected;
    connected = new Set(keys);
    for (const key of before) if (!connected.has(key)) goneAt.set(key, now());
    for (const key of connected) goneAt.delete(key);
  };
  return {
    look,
    list() {
      look();
      const others = new Map<string, PeerResources>();
      for (const { publicKey, protocolVersion, resources } of network()?.peers() ?? []) {
        if (protocolVersion < P2P_VERSION && publicKey !== null && resources !== null) {
          others.set(publicKey, resources);
        }
      }
      for (const { publicKey, resources, heardAtMs } of network()?.nodes() ?? []) {
        if (heardAtMs > (goneAt.get(publicKey) ?? 0)) others.set(publicKey, resources);
      }
      others.delete(ownKey);
      return [...others]
        .filter(([, { memMib, cpus }]) => memMib > 0 && cpus > 0)
        .map(([publicKey, resources]) => ({ publicKey, resources }));
    },
  };
}
