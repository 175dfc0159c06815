/** Where other nodes may be, and when to try them. Pure: it neither dials nor waits. */
export interface AddressBook {
  /** Adds an address that a peer told; nothing where it is there, or the book is full. */
  learn(address: string): void;
  /** At most so many addresses whose time has come, and that lead to nobody who is connected; they count as being tried. */
  due(nowMs: number, isConnected: (identity: string) => boolean, most: number): string[];
  /** The address led to this peer (which may have been connected already). */
  reached(address: string, identity: string): void;
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
  readonly minWaitMs: number;
  readonly maxWaitMs: number;
  /** An address that was learned is forgotten after so many failures in a row. */
  readonly attempts: number;
  /** 0 to 1; waits differ by up to a half, so that nodes don't dial each other in step. */
  readonly random: () => number;
}

interface Entry {
  readonly isConfigured: boolean;
  state: "idle" | "trying" | "self";
  failures: number;
  nextAtMs: number;
  identity: string | null;
}

export function createAddressBook(options: AddressBookOptions): AddressBook {
  const entries = new Map<string, Entry>();
  const add = (address: string, isConfigured: boolean) =>
    entries.set(address, { isConfigured, state: "idle", failures: 0, nextAtMs: 0, identity: null });
  for (const address of options.configured) add(address, true);

  const waitMs = (failures: number): number => {
    const longest = Math.min(options.maxWaitMs, options.minWaitMs * 2 ** Math.min(failures, 30));
    return longest * (0.5 + options.random() / 2);
  };

  return {
    learn(address) {
      if (!entries.has(address) && entries.size < options.maxAddresses) add(address, false);
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
    },
    failed(address, nowMs) {
      const entry = entries.get(address);
      if (!entry) return;
      if (entry.state === "trying") entry.state = "idle";
      entry.nextAtMs = nowMs + waitMs(entry.failures);
      entry.failures += 1;
      if (!entry.isConfigured && entry.failures >= options.attempts) entries.delete(address);
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
