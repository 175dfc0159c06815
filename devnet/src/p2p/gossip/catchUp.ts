import type { Logger } from "pino";
import { createBoundedMap } from "../mesh/boundedMap.ts";
import type { Peer } from "../mesh/peer.ts";
import { ITEM_KINDS, type ItemKind, type PeerMessage } from "../wire/peerMessage.ts";
import type { WantOutcome } from "./wants.ts";

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
  /** Gets all of these from the peer that are not here; resolves with what became of them. */
  readonly fetch: (peer: Peer, kind: ItemKind, ids: readonly string[]) => Promise<readonly WantOutcome[]>;
  readonly pageTimeoutMs: number;
  /** When what was given up is asked for again; each time it waits twice as long. */
  readonly retryMs: number;
  readonly now: () => number;
}

const MAX_CURSORS = 2_048;
/** An item that can't be taken in must not keep out all that came later. */
const MAX_TRIES = 3;
const MAX_RETRY_MS = 86_400_000;

/** How far this node has come with a list, and the first page of it that could not be taken in whole. */
interface Place {
  readonly cursor: string | null;
  readonly tries: number;
  readonly left: { readonly cursor: string | null; readonly atMs: number } | null;
  /** How long the next page that is left waits. */
  readonly retryMs: number;
}

interface Session {
  isAgain: boolean;
  waiting: { readonly kind: ItemKind; readonly resolve: (page: Page | null) => void } | null;
}

function createPlaces({ now, retryMs }: Pick<CatchUpDeps, "now" | "retryMs">) {
  /** They survive the connection, not the process. */
  const places = createBoundedMap<string, Place>(MAX_CURSORS);
  return {
    of(name: string): Place {
      const place = places.get(name) ?? { cursor: null, tries: 0, left: null, retryMs };
      if (place.left === null || place.left.atMs > now()) return place;
      return { ...place, cursor: place.left.cursor, tries: 0, left: null };
    },
    set: places.set,
    moveOn(name: string, place: Place, cursor: string | null, isLeft: boolean): void {
      const moved = { ...place, cursor, tries: 0 };
      if (!isLeft) {
        places.set(name, moved);
        return;
      }
      const left = place.left ?? { cursor: place.cursor, atMs: now() + place.retryMs };
      places.set(name, { ...moved, left, retryMs: Math.min(2 * place.retryMs, MAX_RETRY_MS) });
    },
  };
}

export function createCatchUp(deps: CatchUpDeps): CatchUp {
  const sessions = new Map<Peer, Session>();
  const places = createPlaces(deps);

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
    const place = places.of(name);
    const page = await askPage(peer, session, kind, place.cursor);
    if (page === null || page.ids.length === 0) return false;
    const outcomes = await deps.fetch(peer, kind, page.ids);
    if (!sessions.has(peer)) return false;
    const missing = outcomes.filter((outcome) => outcome !== "done").length;
    if (outcomes.includes("failed") && place.tries + 1 < MAX_TRIES) {
      places.set(name, { ...place, tries: place.tries + 1 });
      return false;
    }
    if (missing > 0)
      deps.log.warn({ peer: peer.info.address, kind, missing }, "items of a peer are left for later");
    places.moveOn(name, place, page.cursor, missing > 0);
    return page.cursor !== place.cursor;
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
