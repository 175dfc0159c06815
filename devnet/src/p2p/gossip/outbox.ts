import type { Peer } from "../mesh/peer.ts";
import { ITEM_KINDS, type ItemKind, MAX_IDS } from "../wire/peerMessage.ts";

/** What a peer is to be told that it can have; ids of a moment share a message. */
export interface Outbox {
  /** Sends an item as it is, or tells that it can be had where the peer is too slow for it. */
  push(peer: Peer, kind: ItemKind, id: string, bytes: Uint8Array): void;
  have(peer: Peer, kind: ItemKind, id: string): void;
  peerLeft(peer: Peer): void;
  /** Tells peers that could not be told all, once they read again, to ask. */
  tick(peers: readonly Peer[]): void;
  [Symbol.dispose](): void;
}

const FLUSH_MS = 10;
const MAX_PENDING = 8_192;

export function createOutbox(maxQueuedBytes: number): Outbox {
  const pending = new Map<Peer, Record<ItemKind, string[]>>();
  let timer: NodeJS.Timeout | null = null;

  const flushPeer = (peer: Peer, lists: Record<ItemKind, string[]>): void => {
    if (peer.connection.queuedBytes > maxQueuedBytes) {
      peer.isBehind = true;
      return;
    }
    for (const kind of ITEM_KINDS) {
      // What came in the meantime from the peer itself is left out.
      const ids = lists[kind].filter((id) => !peer.known.has(id));
      for (let at = 0; at < ids.length; at += MAX_IDS) {
        peer.send({ type: "have", kind, ids: ids.slice(at, at + MAX_IDS) });
      }
    }
  };
  const flush = (): void => {
    timer = null;
    for (const [peer, lists] of pending) flushPeer(peer, lists);
    pending.clear();
  };
  const have = (peer: Peer, kind: ItemKind, id: string): void => {
    if (!peer.isModern || peer.info.isBeacon || peer.known.has(id)) return;
    const lists = pending.get(peer) ?? { transaction: [], report: [] };
    pending.set(peer, lists);
    if (lists[kind].length >= MAX_PENDING) {
      peer.isBehind = true;
      return;
    }
    lists[kind].push(id);
    timer ??= setTimeout(flush, FLUSH_MS);
  };

  return {
    have,
    push(peer, kind, id, bytes) {
      if (!peer.isModern || peer.info.isBeacon || peer.known.has(id)) return;
      if (peer.connection.queuedBytes + bytes.length > maxQueuedBytes) {
        have(peer, kind, id);
        return;
      }
      peer.known.set(id, true);
      peer.send({ type: "item", kind, bytes });
    },
    peerLeft: (peer) => void pending.delete(peer),
    tick(peers) {
      for (const peer of peers) {
        if (!peer.isBehind || peer.connection.queuedBytes > 0) continue;
        peer.isBehind = false;
        peer.send({ type: "behind" });
      }
    },
    [Symbol.dispose]() {
      if (timer !== null) clearTimeout(timer);
      pending.clear();
    },
  };
}
