const KIB = 1_024;
const MIB = 1_024 * KIB;

/** Every bound of the peer network. Those that two nodes must agree on are not here, but beside the format. */
export interface PeerLimits {
  readonly maxPeers: number;
  /** Of these, so many are for peers that this node dialled: who comes can't take their places. */
  readonly dialledPeers: number;
  /** Connections that have not ended their handshakes yet. */
  readonly maxHandshakes: number;
  readonly handshakeTimeoutMs: number;
  /** The first wait before an address is tried again; it doubles up to the longest. */
  readonly redialMinMs: number;
  readonly redialMaxMs: number;
  /** After so many failures in a row an address is forgotten, unless it was given by the operator. */
  readonly redialAttempts: number;
  readonly maxAddresses: number;
  /** How often a quiet peer is asked something, and after what silence it counts as gone. */
  readonly pingMs: number;
  readonly silenceMs: number;
  /** How often a node announces itself, and how long others list it after that. */
  readonly announceMs: number;
  readonly nodeTimeoutMs: number;
  readonly maxNodes: number;
  /** Announcements that are heard of one peer at once, and how many more each second; others are passed over. */
  readonly announcementsAtOnce: number;
  readonly announcementsPerSecond: number;
  readonly banMs: number;
  /** Bytes that wait to be sent to one peer. Version 2 gets the rest from the inventory; an older peer is dropped. */
  readonly maxQueuedBytes: number;
  /** Transactions of one peer that are being taken in at once. */
  readonly maxReceiving: number;
  readonly maxReceivingBytes: number;
  /** Items that are known to be elsewhere and are still to be asked for. */
  readonly maxWanted: number;
  /** After this time without an answer another peer is asked. */
  readonly wantTimeoutMs: number;
  /** Hashes that are remembered so that duplicates cost nothing. */
  readonly maxSeen: number;
  /** Duplicates that one peer may send at once, and how many more each second. */
  readonly duplicatesAtOnce: number;
  readonly duplicatesPerSecond: number;
  /** How often peers of version 2 are asked for what came since the last time. */
  readonly syncMs: number;
  /** When items that could not be taken in are asked for again; longer each time. */
  readonly leftItemsMs: number;
  /** A peer that takes nothing of what waits for it for so long is gone. */
  readonly stallMs: number;
  /** How often this node looks after all this, and how often when nothing is under way. */
  readonly tickMs: number;
  readonly idleTickMs: number;
}

export const DEFAULT_PEER_LIMITS: PeerLimits = {
  maxPeers: 128,
  dialledPeers: 32,
  maxHandshakes: 64,
  handshakeTimeoutMs: 10_000,
  redialMinMs: 500,
  redialMaxMs: 30_000,
  redialAttempts: 12,
  maxAddresses: 1_024,
  pingMs: 15_000,
  silenceMs: 50_000,
  announceMs: 20_000,
  nodeTimeoutMs: 90_000,
  maxNodes: 1_024,
  announcementsAtOnce: 2_048,
  announcementsPerSecond: 100,
  banMs: 600_000,
  maxQueuedBytes: 32 * MIB,
  maxReceiving: 64,
  maxReceivingBytes: 32 * MIB,
  maxWanted: 65_536,
  wantTimeoutMs: 20_000,
  maxSeen: 65_536,
  duplicatesAtOnce: 2_000,
  duplicatesPerSecond: 20,
  syncMs: 60_000,
  leftItemsMs: 600_000,
  stallMs: 200_000,
  tickMs: 250,
  idleTickMs: 5_000,
};
