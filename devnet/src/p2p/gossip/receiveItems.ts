import { createHash } from "node:crypto";
import { GevulotError } from "gevulot-sdk";
import { bytesToHex, decodeTransaction } from "gevulot-sdk/protocol";
import type { Logger } from "pino";
import { type BoundedMap, createBoundedMap } from "../mesh/boundedMap.ts";
import type { Peer } from "../mesh/peer.ts";
import type { PeerNetworkDeps } from "../peerNetwork.ts";
import type { ItemKind } from "../wire/peerMessage.ts";
import type { Wants } from "./wants.ts";

/** Where a transaction's bincode has its hash: behind the author, a byte string of 65. */
const HASH_OFFSET = 73;
const HASH_END = HASH_OFFSET + 32;
const DIGEST_BYTES = 16;

/** The door for items of peers. */
export interface ItemReceiver {
  /** Deals with an item in its own time; the peer's slots say how much is under way. */
  receive(peer: Peer, kind: ItemKind, bytes: Uint8Array): void;
  isSeen(kind: ItemKind, id: string): boolean;
  /** This node has it: copies that come are passed over. */
  markSeen(kind: ItemKind, id: string, bytes: Uint8Array): void;
}

export interface ItemReceiverDeps extends Pick<PeerNetworkDeps, "receive" | "receiveReport"> {
  readonly log: Logger;
  readonly wants: Wants;
  /** The peer lied: it is dropped and banned. */
  readonly fault: (peer: Peer, reason: string) => void;
  /** A report was new, and is passed on. */
  readonly onReport: (id: string) => void;
  /** A peer's slot is free again. */
  readonly onDone: (peer: Peer) => void;
}

export function createItemReceiver(deps: ItemReceiverDeps, maxSeen: number): ItemReceiver {
  const { wants, fault } = deps;
  // The digest is of all bytes: a forged copy must not pass for the item, nor keep it out.
  const seen: BoundedMap<string, string> = createBoundedMap(maxSeen);
  const underWay = new Set<string>();

  /** Whether a copy is of no use any more; one that waits may have to be had again. */
  const takeTransaction = async (peer: Peer, bytes: Uint8Array): Promise<boolean> => {
    const tx = decodeTransaction(bytes);
    const verdict = await deps.receive(tx, peer.info);
    deps.log.debug({ tx: tx.hash, peer: peer.info.address, verdict }, "a transaction from a peer");
    return verdict !== "waiting";
  };
  const takeReport = async (peer: Peer, id: string, bytes: Uint8Array): Promise<boolean> => {
    if (await deps.receiveReport(bytes, peer.info)) deps.onReport(id);
    return true;
  };
  const take = async (peer: Peer, kind: ItemKind, id: string, bytes: Uint8Array, digest: string) => {
    try {
      const isKept = await (kind === "transaction"
        ? takeTransaction(peer, bytes)
        : takeReport(peer, id, bytes));
      if (isKept) seen.set(kind + id, digest);
      peer.known.set(id, true);
      wants.settle(kind, id, isKept ? "done" : "unsure");
    } catch (error) {
      if (isLie(error)) {
        // A forged copy must not end the search for the true one.
        wants.refused(kind, id, peer);
        fault(peer, `${kind} ${id.slice(0, 16)}: ${error.message}`);
      } else {
        wants.settle(kind, id, "failed");
        const reason = (error as Error).message;
        deps.log.warn({ [kind]: id, peer: peer.info.address, reason }, "not taken in from a peer");
      }
    }
  };

  return {
    isSeen: (kind, id) => seen.has(kind + id),
    markSeen: (kind, id, bytes) => seen.set(kind + id, digestOf(bytes)),
    receive(peer, kind, received) {
      const bytes = new Uint8Array(received.buffer, received.byteOffset, received.byteLength);
      if (kind === "transaction" && bytes.length < HASH_END)
        return fault(peer, "a transaction without a hash");
      const id = kind === "report" ? reportId(bytes) : bytesToHex(bytes.subarray(HASH_OFFSET, HASH_END));
      const digest = digestOf(bytes);
      const isDuplicate = seen.get(kind + id) === digest || underWay.has(digest);
      if (isDuplicate && !peer.duplicates.take()) return fault(peer, "endless duplicates");
      if (seen.get(kind + id) === digest) {
        peer.known.set(id, true);
        wants.settle(kind, id, "done");
        return;
      }
      // It is settled by the one that is under way.
      if (isDuplicate) return;
      wants.arrived(kind, id);
      underWay.add(digest);
      peer.receiving.count += 1;
      peer.receiving.bytes += bytes.length;
      void take(peer, kind, id, bytes, digest).finally(() => {
        underWay.delete(digest);
        peer.receiving.count -= 1;
        peer.receiving.bytes -= bytes.length;
        deps.onDone(peer);
      });
    },
  };
}

/** What names a report in the inventory. */
export function reportId(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function digestOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("base64").slice(0, DIGEST_BYTES);
}

/** What the door tells of the sender; anything else is this node's own trouble. */
function isLie(error: unknown): error is GevulotError {
  return error instanceof GevulotError && (error.code === "PEER_FAULT" || error.code === "BINCODE_INVALID");
}
