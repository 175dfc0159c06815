import type { Transaction } from "gevulot-sdk/protocol";
import type { Logger } from "pino";
import type { NodeFaults } from "../faults/nodeFaults.ts";
import type { PeerLimits } from "./peerLimits.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    /** A peer sent what no honest node sends. Whoever throws it has the peer dropped, and banned for a while. */
    PEER_FAULT: { reason: string };
  }
}

/** The protocol version that this implementation speaks and announces (docs/p2p-v2.md). */
export const P2P_VERSION = 2;

export interface PeerResources {
  readonly memMib: number;
  readonly cpus: number;
  readonly gpus: number;
}

/** A connected peer. What it told of itself is as it told it, except for a proven key. */
export interface PeerInfo {
  /** `host:port` (`[v6]:port`): where it says that it listens, or where it is seen, with that port. */
  readonly address: string;
  /** `http://host:port` of its files, without a path; null where it serves none. */
  readonly httpUrl: string | null;
  /** What it announced: 0 and 1 are spoken to as the contract says, 2 and above as docs/p2p-v2.md says. */
  readonly protocolVersion: number;
  /** The node's key, 130 hex digits; null until it has told it, and for a beacon, which has none. */
  readonly publicKey: string | null;
  /** It has shown that it holds the key (version 2). Without, it only says so. */
  readonly isKeyProven: boolean;
  /** It only helps nodes to find each other: it keeps no transactions. */
  readonly isBeacon: boolean;
  readonly resources: PeerResources | null;
  /** `major.minor.patch build`; null until it has told it. */
  readonly softwareVersion: string | null;
  readonly connectedAtMs: number;
  /** When anything came from it for the last time. */
  readonly lastSeenAtMs: number;
}

/** A peer that lied, and is not spoken to for a while. */
export interface BannedPeer {
  readonly address: string;
  /** Null where it showed none. */
  readonly publicKey: string | null;
  readonly reason: string;
  readonly untilMs: number;
}

/**
 * A node that is alive, as far as this one knows: it is connected, or another node passed on what it signed. Nodes of
 * versions 0 and 1 are not among them, as they announce nothing.
 */
export interface NodeInfo {
  readonly publicKey: string;
  readonly resources: PeerResources;
  readonly address: string;
  readonly httpUrl: string | null;
  /** When it was last heard of; one that stays silent for a minute and a half is no longer listed. */
  readonly heardAtMs: number;
}

/** What became of a transaction from a peer. A peer that lied is told by a rejection with `PEER_FAULT`. */
export type ReceiveVerdict =
  /** Stored now. */
  | "taken"
  /** Stored before. */
  | "known"
  /** Kept until what it needs is there. */
  | "waiting"
  /** Not for this node (access list, its own limits); the peer did nothing wrong. It is not asked for again soon. */
  | "refused";

/** What peers may ask this node for: transactions by their hash, reports by the SHA-256 of their bytes. */
export interface ItemStore {
  /** Which of these (at most 1,024, 64 hex digits each) this node has, or wants no copy of. */
  has(ids: readonly string[]): Promise<ReadonlySet<string>>;
  /** The bytes: bincode of a transaction, or a report as it was announced; null where there are none. */
  read(id: string): Promise<Uint8Array | null>;
  /**
   * At most `limit` ids that came after the cursor, in an order in which they can be taken in: as they were stored.
   * `cursor` null begins; it is the store's own text, at most 256 characters, and may come from a stranger. A cursor
   * that it can't read counts as null. The returned cursor stands behind the last id; with no ids it is the one given.
   */
  since(cursor: string | null, limit: number): Promise<{ ids: readonly string[]; cursor: string | null }>;
}

/** How the network tells what happens to those who keep the node; none of them may throw. */
export interface PeerNetworkEvents {
  /** A peer came, went, or told something about itself; or the list of nodes changed. */
  readonly onChange?: () => void;
  /** These peers, of version 0 or 1, can't get the transaction: their messages hold 65,519 bytes. Logged, too. */
  readonly onTooLarge?: (tx: Transaction, bytes: number, peers: readonly PeerInfo[]) => void;
  /** A message came, for the counter of section 10. */
  readonly onMessage?: () => void;
}

export interface PeerNetwork extends AsyncDisposable {
  /** Where it listens: `host:port`, with the port that the system gave where 0 was asked for. */
  readonly address: string;
  /**
   * Sends a transaction that came by RPC, or that this node made, to all peers. Returns at once. Peers that are slow or
   * not connected get it from the inventory (version 2), once it is stored.
   */
  broadcast(tx: Transaction): void;
  /**
   * To be called once a transaction is stored, wherever it came from: tells peers of version 2 that don't have it that
   * it can be had here. Telling it twice costs nothing.
   */
  relay(hash: string): void;
  /** Sends a signed report of this node (at most 64 KiB) to all peers of version 2. It should be stored before. */
  announce(report: Uint8Array): void;
  peers(): readonly PeerInfo[];
  /** Alive nodes of version 2, this one first. */
  nodes(): readonly NodeInfo[];
  banned(): readonly BannedPeer[];
  /** Bans the peers that name this as their file server, and for as long all that come and name it, whatever their key. */
  banFileServer(httpUrl: string, reason: string): void;
  /** What the connected peer of this address tells of itself now (Prometheus text); null where it does not. */
  metricsOf(address: string): Promise<string | null>;
  /** Resolves once so many peers are connected. Rejects with `PEERS_MISSING` when the time is over. */
  untilConnected(count: number, options: { readonly timeoutMs: number; signal?: AbortSignal }): Promise<void>;
}

export interface PeerNetworkDeps {
  readonly log: Logger;
  /** 32 bytes; signs what this node says of itself (version 2). A beacon has none. */
  readonly secretKey: Uint8Array | null;
  /** What tasks may use of this machine; announced, and told to who asks. */
  readonly resources: () => PeerResources;
  /** Prometheus text, for peers that ask. */
  readonly metrics: () => Promise<string>;
  /** The door for transactions from peers. Duplicates that this network has seen already don't come here. */
  readonly receive: (tx: Transaction, from: PeerInfo) => Promise<ReceiveVerdict>;
  /** The door for reports: true where it was new and is kept (only then it is passed on). Rejects as `receive`. */
  readonly receiveReport: (report: Uint8Array, from: PeerInfo) => Promise<boolean>;
  /** Null where nothing is kept: a beacon. */
  readonly stores: { readonly transactions: ItemStore; readonly reports: ItemStore } | null;
  readonly events?: PeerNetworkEvents;
  /** Peers that can't be reached, for tests; by where they listen. */
  readonly reach?: Pick<NodeFaults, "isCut" | "onCut"> | undefined;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

export interface PeerNetworkOptions {
  readonly listen: { readonly host: string; readonly port: number };
  /** Where others reach this node (NAT); default: where it listens. Port 0 or none: the port that it listens on. */
  readonly advertised?: { readonly host: string; readonly port?: number } | undefined;
  /** `host:port` of nodes to begin with; they are tried for as long as this node runs. */
  readonly discovery?: readonly string[];
  /** Default: the network's (section 7). */
  readonly passphrase?: string | undefined;
  /** Port of this node's files; told to peers. */
  readonly httpPort?: number | null;
  /** Announces this version instead, for tests with older peers: 0, 1 or 2. */
  readonly protocolVersion?: 0 | 1 | 2;
  /** Times and sizes, for tests; see docs/p2p-v2.md for the defaults. */
  readonly limits?: Partial<PeerLimits>;
}
