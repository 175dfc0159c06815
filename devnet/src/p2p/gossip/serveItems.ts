import type { Peer } from "../mesh/peer.ts";
import type { ItemStore } from "../peerNetwork.ts";
import { type ItemKind, MAX_CURSOR_CHARS, MAX_IDS, type PeerMessage } from "../wire/peerMessage.ts";

type Stores = Readonly<Record<ItemKind, ItemStore>>;
type Ask = Extract<PeerMessage, { type: "want" | "since" }>;

/** Answers what peers ask of the stores, one question of a peer after the other, no faster than the peer reads. */
export interface ItemServer {
  /** False where the peer asks more at once than an honest one would. */
  ask(peer: Peer, message: Ask): boolean;
}

const MAX_QUESTIONS = 256;

export function createItemServer(
  stores: Stores | null,
  onTrouble: (peer: Peer, error: Error) => void,
): ItemServer {
  const questions = new WeakMap<Peer, Ask[]>();

  const answer = async (peer: Peer, message: Ask): Promise<void> => {
    if (stores === null) return answerNothing(peer, message);
    const store = stores[message.kind];
    const { kind } = message;
    if (message.type === "since") {
      const { ids, cursor } = await store.since(message.cursor, MAX_IDS);
      if (cursor !== null && cursor.length > MAX_CURSOR_CHARS)
        throw new Error("the store's cursor is too long");
      peer.send({ type: "page", kind, cursor, ids });
      return;
    }
    for (const id of message.ids) {
      if (peer.connection.isClosed) return;
      const bytes = await store.read(id);
      peer.send(bytes === null ? { type: "gone", kind, ids: [id] } : { type: "item", kind, bytes });
      peer.known.set(id, true);
      await peer.connection.drained();
    }
  };
  const work = async (peer: Peer, queue: Ask[]): Promise<void> => {
    for (let next = queue[0]; next; next = queue[0]) {
      await answer(peer, next).catch((error: Error) => {
        // Its answer will be late; the peer asks elsewhere, and again.
        onTrouble(peer, error);
      });
      // Answers are longer than questions: who does not read them gets no more.
      await peer.connection.drained();
      queue.shift();
      if (peer.connection.isClosed) queue.length = 0;
    }
  };

  return {
    ask(peer, message) {
      const queue = questions.get(peer) ?? [];
      questions.set(peer, queue);
      if (queue.length >= MAX_QUESTIONS) return false;
      queue.push(message);
      if (queue.length === 1) void work(peer, queue);
      return true;
    },
  };
}

function answerNothing(peer: Peer, message: Ask): void {
  const { kind } = message;
  if (message.type === "since") peer.send({ type: "page", kind, cursor: message.cursor, ids: [] });
  else peer.send({ type: "gone", kind, ids: message.ids });
}
