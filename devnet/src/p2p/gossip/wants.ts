import { createCounts } from "../mesh/counts.ts";
import type { Peer } from "../mesh/peer.ts";
import type { ItemKind } from "../wire/peerMessage.ts";

/** "unsure": it is kept until what it needs is here, and may yet be let go. "failed": nobody who was named gave it. */
export type WantOutcome = "done" | "unsure" | "failed";

/** Items that are elsewhere and not here: each is asked for from one peer at a time. */
export interface Wants {
  add(kind: ItemKind, id: string, source: Peer): Promise<WantOutcome>;
  /** It has come, and is being taken in: it is late no more. */
  arrived(kind: ItemKind, id: string): void;
  settle(kind: ItemKind, id: string, outcome: WantOutcome): void;
  /** What the peer gave for it was a lie: the others that have it are asked. */
  refused(kind: ItemKind, id: string, peer: Peer): void;
  /** A peer answered that it has it no more; true where nobody is left to ask, and that is the end of it. */
  gone(kind: ItemKind, id: string, peer: Peer): void;
  peerLeft(peer: Peer): void;
  /** Looks for answers that are late. */
  tick(): void;
  readonly size: number;
}

export interface WantsOptions {
  readonly maxWanted: number;
  /** So many that one peer alone named: who names what nobody has must not keep out the others. */
  readonly maxWantedOfOne: number;
  /** How many of one peer at once. */
  readonly maxAsked: number;
  readonly timeoutMs: number;
  readonly now: () => number;
  readonly ask: (peer: Peer, kind: ItemKind, ids: readonly string[]) => void;
}

interface Want {
  readonly kind: ItemKind;
  readonly id: string;
  readonly sources: Set<Peer>;
  asked: Peer | null;
  isOver: boolean;
  deadlineMs: number;
  readonly resolve: (outcome: WantOutcome) => void;
  readonly settled: Promise<WantOutcome>;
}

export function createWants(options: WantsOptions): Wants {
  const wants = new Map<string, Want>();
  const named = createCounts<Peer>();
  const keyOf = (kind: ItemKind, id: string) => `${kind}${id}`;
  const asking = createAsking(options);
  const finish = (want: Want, outcome: WantOutcome): void => {
    wants.delete(keyOf(want.kind, want.id));
    for (const source of want.sources) named.change(source, -1);
    want.sources.clear();
    want.isOver = true;
    want.resolve(outcome);
    asking.release(want);
  };
  /** The peer won't give it: the others that have it are asked. */
  const pass = (want: Want, peer: Peer, outcome: WantOutcome): void => {
    want.sources.delete(peer);
    named.change(peer, -1);
    if (want.sources.size === 0) finish(want, outcome);
    if (want.sources.size === 0 || want.asked !== peer) return;
    asking.release(want);
    for (const source of want.sources) asking.queue(want, source);
  };

  return {
    add(kind, id, source) {
      const known = wants.get(keyOf(kind, id));
      if (!known && wants.size >= options.maxWanted) return Promise.resolve("failed");
      const isNamed = known?.sources.has(source) ?? false;
      if (!isNamed && named.of(source) >= options.maxWantedOfOne) return Promise.resolve("failed");
      const want = known ?? newWant(kind, id);
      wants.set(keyOf(kind, id), want);
      if (!isNamed) {
        want.sources.add(source);
        named.change(source, 1);
        if (want.asked === null) asking.queue(want, source);
      }
      return want.settled;
    },
    arrived(kind, id) {
      const want = wants.get(keyOf(kind, id));
      if (want) want.deadlineMs = Number.POSITIVE_INFINITY;
    },
    settle(kind, id, outcome) {
      const want = wants.get(keyOf(kind, id));
      if (want) finish(want, outcome);
    },
    refused(kind, id, peer) {
      const want = wants.get(keyOf(kind, id));
      if (!want) return;
      want.deadlineMs = options.now() + options.timeoutMs;
      if (want.sources.has(peer)) pass(want, peer, "failed");
    },
    gone(kind, id, peer) {
      const want = wants.get(keyOf(kind, id));
      if (want?.sources.has(peer)) pass(want, peer, "done");
    },
    peerLeft(peer) {
      asking.forget(peer);
      for (const want of [...wants.values()]) if (want.sources.has(peer)) pass(want, peer, "failed");
    },
    tick() {
      for (const want of asking.late()) if (want.asked) pass(want, want.asked, "failed");
    },
    get size() {
      return wants.size;
    },
  };
}

function newWant(kind: ItemKind, id: string): Want {
  let resolve: (outcome: WantOutcome) => void = () => {};
  const settled = new Promise<WantOutcome>((done) => {
    resolve = done;
  });
  return { kind, id, sources: new Set(), asked: null, isOver: false, deadlineMs: 0, resolve, settled };
}

/** Who is asked for what: of each peer only so much at once. */
interface Asking {
  /** The peer has it, and may be asked. */
  queue(want: Want, peer: Peer): void;
  /** Its peer is not asked for it any more, and may be asked for the next. */
  release(want: Want): void;
  forget(peer: Peer): void;
  late(): Want[];
}

function createAsking(options: WantsOptions): Asking {
  const asked = new Map<Peer, Set<Want>>();
  const queues = new Map<Peer, Set<Want>>();
  const setOf = (map: Map<Peer, Set<Want>>, peer: Peer): Set<Want> => {
    const found = map.get(peer) ?? new Set();
    map.set(peer, found);
    return found;
  };

  const pump = (peer: Peer): void => {
    const queue = queues.get(peer);
    if (!queue) return;
    const under = setOf(asked, peer);
    // Half of them at once, not each by itself.
    if (under.size > options.maxAsked / 2) return;
    const next: Want[] = [];
    for (const want of queue) {
      if (under.size >= options.maxAsked) break;
      queue.delete(want);
      if (want.asked !== null || want.isOver || !want.sources.has(peer)) continue;
      want.asked = peer;
      want.deadlineMs = options.now() + options.timeoutMs;
      under.add(want);
      next.push(want);
    }
    for (const kind of new Set(next.map((want) => want.kind))) {
      const ids = next.filter((want) => want.kind === kind).map(({ id }) => id);
      options.ask(peer, kind, ids);
    }
  };
  return {
    queue(want, peer) {
      setOf(queues, peer).add(want);
      pump(peer);
    },
    release(want) {
      const peer = want.asked;
      want.asked = null;
      if (peer === null) return;
      const under = setOf(asked, peer);
      under.delete(want);
      // It answers: what it was asked for besides is on its way.
      const deadlineMs = options.now() + options.timeoutMs;
      for (const other of under) other.deadlineMs = Math.max(other.deadlineMs, deadlineMs);
      if (queues.has(peer)) pump(peer);
      else if (under.size === 0) asked.delete(peer);
    },
    forget(peer) {
      queues.delete(peer);
      if (asked.get(peer)?.size === 0) asked.delete(peer);
    },
    late() {
      const nowMs = options.now();
      return [...asked.values()].flatMap((under) => [...under].filter((want) => want.deadlineMs <= nowMs));
    },
  };
}
