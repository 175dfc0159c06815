import type { Transaction } from "gevulot-sdk/protocol";

/** When a transaction passed the stages of the intake. */
export interface IntakeTimes {
  readonly receivedAt: Date;
  /** `host:port`; null for a client, and for this node itself. */
  readonly peer: string | null;
  readonly verifiedAt: Date;
  /** What it refers to was there. */
  readonly readyAt: Date;
  readonly fetchedAt: Date;
  readonly storedAt: Date;
}

export type IntakeStage = "verified" | "ready" | "fetched" | "stored";

export interface IntakeClock {
  received(tx: Transaction, peer: string | null): void;
  /** The last time counts: files may be asked for again. */
  passed(tx: Transaction, stage: IntakeStage): void;
  /** Of one that passed all stages. */
  timesOf(tx: Transaction): IntakeTimes | null;
}

/** Remembers times for as long as somebody holds the transaction itself. */
export function createIntakeClock(now: () => number = Date.now): IntakeClock {
  const entries = new WeakMap<Transaction, { peer: string | null; atMs: Map<string, number> }>();
  return {
    received(tx, peer) {
      entries.set(tx, { peer, atMs: new Map([["received", now()]]) });
    },
    passed(tx, stage) {
      entries.get(tx)?.atMs.set(stage, now());
    },
    timesOf(tx) {
      const entry = entries.get(tx);
      if (!entry?.atMs.has("stored")) return null;
      const at = (stage: string) => new Date(entry.atMs.get(stage) as number);
      return {
        receivedAt: at("received"),
        peer: entry.peer,
        verifiedAt: at("verified"),
        readyAt: at("ready"),
        fetchedAt: at("fetched"),
        storedAt: at("stored"),
      };
    },
  };
}
