import type { Logger } from "pino";
import { createBoundedMap } from "../mesh/boundedMap.ts";
import type { Peer } from "../mesh/peer.ts";
import { ITEM_KINDS, type ItemKind, type PeerMessage } from "../wire/peerMessage.ts";

type Page = Extract<PeerMessage, { type: "page" }>;

/** Asks peers for what came since the last time, page by page, until nothing is missing. */
export interface CatchUp {
  /** Begins, or looks once more after what goes on. */
  start(peer: Peer): void;
  /** False where nobody asked for the page. */
  page(peer: Peer, page: Page): boolean;
  peerLeft(peer: Peer): void;
}

export interface CatchUpDeps {
  readonly log: Logger;
  /** Gets all of these from the peer that are not here; resolves with how many could not be had. */
  readonly fetch: (peer: Peer, kind: ItemKind, ids: readonly string[]) => Promise<number>;
  readonly pageTimeoutMs: number;
}

const MAX_CURSORS = 2_048;
/** An item that can't be taken in must not keep out all that came later. */
const MAX_TRIES = 3;

interface Session {
  isAgain: boolean;
  waiting: { readonly kind: ItemKind; readonly resolve: (page: Page | null) => void } | null;
}

export function createCatchUp(deps: CatchUpDeps): CatchUp {
  const sessions = new Map<Peer, Session>();
  /** How far this node has come with each peer's list. It survives the connection, not the process. */
  const places = createBoundedMap<string, { cursor: string | null; tries: number }>(MAX_CURSORS);

  const askPage = (peer: Peer, session: Session, kind: ItemKind, cursor: string | null) =>
    new Promise<Page | null>((resolve) => {
      const timer = setTimeout(() => session.waiting?.resolve(null), deps.pageTimeoutMs);
      session.waiting = {
        kind,
        resolve: (page) => {
          clearTimeout(timer);
          session.waiting = null;
          resolve(page);
        },
      };
      peer.send({ type: "since", kind, cursor });
    });
  /** Whether there may be more. */
  const takePage = async (peer: Peer, session: Session, kind: ItemKind): Promise<boolean> => {
    const name = `${kind} ${peer.identity}`;
    const place = places.get(name) ?? { cursor: null, tries: 0 };
    const page = await askPage(peer, session, kind, place.cursor);
    if (page === null || page.ids.length === 0) return false;
    const missing = await deps.fetch(peer, kind, page.ids);
    if (!sessions.has(peer)) return false;
    if (missing > 0 && place.tries + 1 < MAX_TRIES) {
      places.set(name, { cursor: place.cursor, tries: place.tries + 1 });
      return false;
    }
    if (missing > 0) deps.log.warn({ peer: peer.info.address, kind, missing }, "given up: items of a peer");
    const isMoved = page.cursor !== place.cursor;
    places.set(name, { cursor: page.cursor, tries: 0 });
    return isMoved;
  };
  const run = async (peer: Peer, session: Session): Promise<void> => {
    do {
      session.isAgain = false;
      for (const kind of ITEM_KINDS) while (await takePage(peer, session, kind));
    } while (session.isAgain && sessions.has(peer));
    sessions.delete(peer);
  };

  return {
    start(peer) {
      const known = sessions.get(peer);
      if (known) {
        known.isAgain = true;
        return;
      }
      const session: Session = { isAgain: false, waiting: null };
      sessions.set(peer, session);
      run(peer, session).catch((error: Error) => {
        sessions.delete(peer);
        deps.log.warn({ peer: peer.info.address, reason: error.message }, "catching up is tried again later");
      });
    },
    page(peer, page) {
      const waiting = sessions.get(peer)?.waiting;
      if (waiting?.kind !== page.kind) return false;
      waiting.resolve(page);
      return true;
    },
    peerLeft(peer) {
      const session = sessions.get(peer);
      sessions.delete(peer);
      session?.waiting?.resolve(null);
    },
  };
}
