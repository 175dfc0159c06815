import { publicKeyOf } from "../../nativeKeys.ts";
import type { NodeInfo, PeerResources } from "../peerNetwork.ts";
import type { Greeting } from "../wire/greeting.ts";
import { type Announcement, signAnnouncement } from "../wire/nodeSignature.ts";
import { formatAddress, isUnspecified, parseAddress, type SocketAddress } from "../wire/socketAddress.ts";
import { httpUrlOf, type NodeList } from "./nodeList.ts";
import type { Peer } from "./peer.ts";

/** What this node says of itself. */
export interface Self {
  /** To be called before anything else, once the port is known. */
  listensOn(port: number, advertisedPort: number | undefined): void;
  greeting(peers: readonly Peer[], arriving: readonly SocketAddress[]): Greeting;
  /** Tells a new peer of this node, and of those that it knows. */
  announceTo(peer: Peer, nodes: NodeList): void;
  announce(peers: readonly Peer[], state: Announcement["state"]): void;
  withOwn(nodes: readonly NodeInfo[]): readonly NodeInfo[];
}

export interface SelfDeps {
  readonly secretKey: Uint8Array | null;
  readonly now: () => number;
  readonly resources: () => PeerResources;
}

export function createSelf(
  deps: SelfDeps,
  options: { readonly listenAddress: SocketAddress; readonly httpPort: number | null },
): Self {
  const { secretKey, now } = deps;
  const { httpPort } = options;
  const publicKey = secretKey && publicKeyOf(secretKey);
  let address = options.listenAddress;
  let lastSentAtMs = 0;

  const sign = (state: Announcement["state"]): Uint8Array | null => {
    if (secretKey === null || publicKey === null) return null;
    // Later than the last even where the clock was set back, or stands still.
    lastSentAtMs = Math.max(now(), lastSentAtMs + 1);
    const { memMib, cpus, gpus } = deps.resources();
    const resources = { memMib: Math.floor(memMib), cpus: Math.floor(cpus), gpus };
    const announcement = { publicKey, sentAtMs: lastSentAtMs, state, resources, address, httpPort };
    return signAnnouncement(announcement, secretKey);
  };
  return {
    listensOn(port, advertisedPort) {
      address = { host: address.host, port: advertisedPort || port };
    },
    greeting(peers, arriving) {
      const known = peers.map(({ info }) => parseAddress(info.address));
      const usable = [...known, ...arriving].filter(
        (each) => each !== null && each.port > 0 && !isUnspecified(each),
      );
      return { listenAddress: address, peers: usable as SocketAddress[], httpPort };
    },
    announceTo(peer, nodes) {
      const own = sign("alive");
      for (const bytes of own ? [own, ...nodes.announcements()] : nodes.announcements()) {
        peer.send({ type: "announcement", bytes });
      }
    },
    announce(peers, state) {
      const bytes = sign(state);
      if (bytes !== null) for (const peer of peers) peer.send({ type: "announcement", bytes });
    },
    withOwn(nodes) {
      if (publicKey === null) return nodes;
      const { host } = address;
      const httpUrl = httpUrlOf(host, httpPort);
      const resources = deps.resources();
      return [{ publicKey, resources, address: formatAddress(address), httpUrl, heardAtMs: now() }, ...nodes];
    },
  };
}
