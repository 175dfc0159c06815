import type { Connection } from "../connection/connection.ts";
import type { PeerLimits } from "../peerLimits.ts";
import type { PeerInfo, PeerResources } from "../peerNetwork.ts";
import type { Message } from "../wire/message.ts";
import { encodeFirstForm, encodeSecondForm } from "../wire/message.ts";
import { encodePeerMessage, type PeerMessage } from "../wire/peerMessage.ts";
import { type BoundedMap, createBoundedMap } from "./boundedMap.ts";
import { createTokenBucket, type TokenBucket } from "./tokenBucket.ts";

/** How many ids are remembered that a peer has; it is told a few of the others twice. */
const MAX_KNOWN = 4_096;
const QUESTIONS_AT_ONCE = 30;
const QUESTIONS_PER_SECOND = 1;

/** A connection that is up, and what is known of who is at its end. */
export interface Peer {
  readonly connection: Connection;
  readonly isOutbound: boolean;
  /** Both announced version 2. */
  readonly isModern: boolean;
  /** Hex; the same on both sides, and of no other connection. */
  readonly handshakeHash: string;
  /** By what it is banned. */
  readonly marks: readonly string[];
  /**
   * `key:…` where it is proven, else `at:…`: where it says that it listens, and where it is seen if that is elsewhere.
   * Two connections with one identity lead to one peer.
   */
  readonly identity: string;
  readonly remoteIp: string;
  readonly isHere: boolean;
  /** What was dialled, as it was written. */
  readonly dialled: string | null;
  readonly known: BoundedMap<string, true>;
  readonly duplicates: TokenBucket;
  readonly questions: TokenBucket;
  readonly announcements: TokenBucket;
  readonly info: PeerInfo;
  /** What it tells of itself. */
  tell(news: Partial<Pick<PeerInfo, "publicKey" | "resources" | "softwareVersion">>): void;
  seen(): void;
  /** Taken in at the moment; reading stops when it is too much. */
  receiving: { count: number; bytes: number };
  lastSentAtMs: number;
  /** When it last took something of its queue, or the queue was empty; and how long the queue was then. */
  taking: { atMs: number; queuedBytes: number };
  /** Something could not be told for want of room. */
  isBehind: boolean;
  /** To a peer of version 2; nothing happens with others. */
  send(message: PeerMessage): void;
  /** A message of the contract, in the form that the peer reads. */
  sendContract(message: Message): boolean;
}

export interface PeerOptions {
  readonly connection: Connection;
  readonly isOutbound: boolean;
  readonly isModern: boolean;
  readonly handshakeHash: string;
  readonly remoteIp: string;
  readonly dialled: string | null;
  readonly address: string;
  /** The address has the host where the peer is seen: nobody elsewhere can claim it. */
  readonly isHere: boolean;
  readonly httpUrl: string | null;
  readonly protocolVersion: number;
  readonly provenKey: string | null;
  readonly isBeacon: boolean;
  readonly limits: PeerLimits;
  readonly now: () => number;
}

export function createPeer(options: PeerOptions): Peer {
  const { connection, isModern, limits, now, provenKey, address, remoteIp, protocolVersion } = options;
  const told: { publicKey: string | null; resources: PeerResources | null; softwareVersion: string | null } =
    {
      publicKey: provenKey,
      resources: null,
      softwareVersion: null,
    };
  const connectedAtMs = now();
  let lastSeenAtMs = connectedAtMs;
  const seenAt = options.isHere ? `at:${address}` : `at:${address} from ${remoteIp}`;
  const identity = provenKey === null ? seenAt : `key:${provenKey}`;
  const peer: Peer = {
    connection,
    isOutbound: options.isOutbound,
    isModern,
    handshakeHash: options.handshakeHash,
    remoteIp,
    isHere: options.isHere,
    dialled: options.dialled,
    marks: [identity],
    identity,
    known: createBoundedMap(MAX_KNOWN),
    duplicates: createTokenBucket(limits.duplicatesAtOnce, limits.duplicatesPerSecond, now),
    questions: createTokenBucket(QUESTIONS_AT_ONCE, QUESTIONS_PER_SECOND, now),
    announcements: createTokenBucket(limits.announcementsAtOnce, limits.announcementsPerSecond, now),
    receiving: { count: 0, bytes: 0 },
    lastSentAtMs: connectedAtMs,
    taking: { atMs: connectedAtMs, queuedBytes: 0 },
    isBehind: false,
    get info() {
      return {
        address,
        httpUrl: options.httpUrl,
        protocolVersion,
        ...told,
        isKeyProven: provenKey !== null,
        isBeacon: options.isBeacon,
        connectedAtMs,
        lastSeenAtMs,
      };
    },
    tell(news) {
      Object.assign(told, news);
      if (provenKey !== null) told.publicKey = provenKey;
    },
    seen() {
      lastSeenAtMs = now();
    },
    send(message) {
      if (!isModern) return;
      peer.lastSentAtMs = now();
      connection.send(encodePeerMessage(message));
    },
    sendContract(message) {
      peer.lastSentAtMs = now();
      // Transactions are sent in the first form, and version 0 knows no other.
      if (!isModern && (message.type === "transaction" || protocolVersion === 0)) {
        return connection.send(encodeFirstForm(message));
      }
      const bytes = encodeSecondForm(message);
      return connection.send(isModern ? encodePeerMessage({ type: "contract", bytes }) : bytes);
    },
  };
  return peer;
}
