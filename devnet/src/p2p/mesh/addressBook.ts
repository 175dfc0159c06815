import { createCounts } from "./counts.ts";

/** Where other nodes may be, and when to try them. Pure: it neither dials nor waits. */
export interface AddressBook {
  /**
   * Adds an address that a peer told; nothing where it is there, or the book is full of better ones, or has as
   * many of the same source as it may that led to nobody yet.
   */
  learn(address: string, source: string): void;
  /** At most so many addresses whose time has come, and that lead to nobody who is connected; they count as being tried. */
  due(nowMs: number, isConnected: (identity: string) => boolean, most: number): string[];
  /** When the next one's time comes; Infinity where there is none. */
  nextAtMs(isConnected: (identity: string) => boolean): number;
  /** The address, which was dialled, led to this peer (which may have been connected already). */
  reached(address: string, identity: string): void;
  /** The peer, which is connected, says that it listens there: so it need not be dialled. */
  claimed(address: string, identity: string): void;
  failed(address: string, nowMs: number): void;
  /** The peer at the address is gone: it is tried soon. */
  lost(address: string, nowMs: number): void;
  /** Never tried again: it is this node itself. */
  isSelf(address: string): void;
  readonly size: number;
}

export interface AddressBookOptions {
  /** Tried for ever. */
  readonly configured: readonly string[];
  readonly maxAddresses: number;
  readonly maxOfOneSource: number;
  readonly minWaitMs: number;
  readonly maxWaitMs: number;
  /** An address that was learned is forgotten after so many failures in a row. */
  readonly attempts: number;
  /** 0 to 1; waits differ by up to a half, so that nodes don't dial each other in step. */
  readonly random: () => number;
}

interface Entry {
  readonly isConfigured: boolean;
  /** Who told it, until it led somewhere. */
  source: string | null;
  /** Whose identity was seen by dialling; what others claim does not change it. */
  isReached: boolean;
  state: "idle" | "trying" | "self";
  failures: number;
  nextAtMs: number;
  identity: string | null;
}

export function createAddressBook(options: AddressBookOptions): AddressBook {
  const entries = new Map<string, Entry>();
  /** How many unproven addresses each source has told. */
  const told = createCounts<string>();
  const settle = (entry: Entry): void => {
    if (entry.source !== null) told.change(entry.source, -1);
    entry.source = null;
  };
  const forget = (address: string, entry: Entry): void => {
    settle(entry);
    entries.delete(address);
  };
  for (const address of options.configured) entries.set(address, newEntry(null));

  return {
    learn(address, source) {
      if (entries.has(address) || told.of(source) >= options.maxOfOneSource) return;
      const isFull = entries.size >= options.maxAddresses;
      const worse = isFull && doubtful(entries);
      if (worse) forget(...worse);
      if (isFull && !worse) return;
      told.change(source, 1);
      entries.set(address, newEntry(source));
    },
    due(nowMs, isConnected, most) {
      const due: string[] = [];
      for (const [address, entry] of entries) {
        if (due.length >= most) break;
        if (entry.nextAtMs > nowMs || !isFree(entry, isConnected)) continue;
        entry.state = "trying";
        due.push(address);
      }
      return due;
    },
    nextAtMs: (isConnected) => earliest(entries, isConnected),
    reached(address, identity) {
      const entry = entries.get(address);
      if (!entry) return;
      entry.state = "idle";
      entry.failures = 0;
      entry.identity = identity;
      entry.isReached = true;
      settle(entry);
    },
    claimed(address, identity) {
      const entry = entries.get(address);
      if (entry && !entry.isReached) entry.identity = identity;
    },
    failed(address, nowMs) {
      const entry = entries.get(address);
      if (!entry) return;
      if (entry.state === "trying") entry.state = "idle";
      entry.nextAtMs = nowMs + waitMs(options, entry.failures);
      entry.failures += 1;
      if (entry.isConfigured || entry.failures < options.attempts) return;
      forget(address, entry);
    },
    lost(address, nowMs) {
      const entry = entries.get(address);
      if (entry) entry.nextAtMs = nowMs + waitMs(options, 0);
    },
    isSelf(address) {
      const entry = entries.get(address);
      if (entry) entry.state = "self";
    },
    get size() {
      return entries.size;
    },
  };
}

/** One that led to nobody, and failed: it is worth less than a new one. */
function doubtful(entries: ReadonlyMap<string, Entry>): [string, Entry] | undefined {
  return [...entries].find(
    ([, { source, failures, state }]) => source !== null && failures > 0 && state === "idle",
  );
}

function isFree({ state, identity }: Entry, isConnected: (identity: string) => boolean): boolean {
  return state === "idle" && (identity === null || !isConnected(identity));
}

function earliest(entries: ReadonlyMap<string, Entry>, isConnected: (identity: string) => boolean): number {
  const free = [...entries.values()].filter((entry) => isFree(entry, isConnected));
  return Math.min(...free.map(({ nextAtMs }) => nextAtMs));
}

function waitMs({ maxWaitMs, minWaitMs, random }: AddressBookOptions, failures: number): number {
  const longest = Math.min(maxWaitMs, minWaitMs * 2 ** Math.min(failures, 30));
  return longest * (0.5 + random() / 2);
}

function newEntry(source: string | null): Entry {
  const begin = { state: "idle", failures: 0, nextAtMs: 0, identity: null, isReached: false } as const;
  return { isConfigured: source === null, source, ...begin };
}
