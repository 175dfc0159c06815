/** Where other nodes may be, and when to try them. Pure: it neither dials nor waits. */
export interface AddressBook {
  /**
   * Adds an address that a peer told; nothing where it is there, or the book is full of better ones, or has as
   * many of the same source as it may that led to nobody yet.
   */
  learn(address: string, source: string): void;
  /** At most so many addresses whose time has come, and that lead to nobody who is connected; they count as being tried. */
  due(nowMs: number, isConnected: (identity: string) => boolean, most: number): string[];
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
  const told = new Map<string, number>();
  const settle = (entry: Entry): void => {
    if (entry.source === null) return;
    const left = (told.get(entry.source) ?? 1) - 1;
    if (left > 0) told.set(entry.source, left);
    else told.delete(entry.source);
    entry.source = null;
  };
  const add = (address: string, source: string | null) => {
    if (source !== null) told.set(source, (told.get(source) ?? 0) + 1);
    const begin = { state: "idle", failures: 0, nextAtMs: 0, identity: null, isReached: false } as const;
    entries.set(address, { isConfigured: source === null, source, ...begin });
  };
  for (const address of options.configured) add(address, null);

  /** Makes room: one that led to nobody, and failed, is worth less than a new one. */
  const forgetDoubtful = (): boolean => {
    for (const [address, entry] of entries) {
      if (entry.source === null || entry.failures === 0 || entry.state !== "idle") continue;
      settle(entry);
      entries.delete(address);
      return true;
    }
    return false;
  };
  const waitMs = (failures: number): number => {
    const longest = Math.min(options.maxWaitMs, options.minWaitMs * 2 ** Math.min(failures, 30));
    return longest * (0.5 + options.random() / 2);
  };

  return {
    learn(address, source) {
      if (entries.has(address) || (told.get(source) ?? 0) >= options.maxOfOneSource) return;
      if (entries.size < options.maxAddresses || forgetDoubtful()) add(address, source);
    },
    due(nowMs, isConnected, most) {
      const due: string[] = [];
      for (const [address, entry] of entries) {
        if (due.length >= most) break;
        if (entry.state !== "idle" || entry.nextAtMs > nowMs) continue;
        if (entry.identity !== null && isConnected(entry.identity)) continue;
        entry.state = "trying";
        due.push(address);
      }
      return due;
    },
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
      entry.nextAtMs = nowMs + waitMs(entry.failures);
      entry.failures += 1;
      if (entry.isConfigured || entry.failures < options.attempts) return;
      settle(entry);
      entries.delete(address);
    },
    lost(address, nowMs) {
      const entry = entries.get(address);
      if (entry) entry.nextAtMs = nowMs + waitMs(0);
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
