/** Bounds of a {@link WaitingRoom}; a sender may take a quarter of it. */
export interface WaitingRoomOptions {
  readonly maxItems: number;
  readonly maxBytes: number;
  readonly maxAgeMs: number;
  readonly now: () => number;
}

const DEFAULT_WAITING_ROOM: WaitingRoomOptions = {
  maxItems: 1_000,
  maxBytes: 64 * 2 ** 20,
  maxAgeMs: 3_600_000,
  now: Date.now,
};
const SHARE_OF_SENDER = 0.25;

/** What came before that which it needs: gossip keeps no order (protocol section 3). */
export interface WaitingRoom<T> {
  /** @returns false where there is no room for this sender; one with the same key stays as it is. */
  add(item: T, about: { key: string; needs: string; sender: string; bytes: number }): boolean;
  get(key: string): T | undefined;
  /** Those that need this; they leave the room. */
  take(needs: string): { readonly item: T; readonly sender: string }[];
}

interface Entry<T> {
  readonly item: T;
  readonly key: string;
  readonly needs: string;
  readonly sender: string;
  readonly bytes: number;
  readonly since: number;
}

export function createWaitingRoom<T>(options: WaitingRoomOptions = DEFAULT_WAITING_ROOM): WaitingRoom<T> {
  // A Map keeps the order of coming, so the oldest is the first.
  const entries = new Map<string, Entry<T>>();
  const byNeed = new Map<string, Set<string>>();
  const held = new Map<string, { items: number; bytes: number }>();
  const total = { items: 0, bytes: 0 };

  const heldBy = (sender: string) => held.get(sender) ?? { items: 0, bytes: 0 };
  const count = ({ sender, bytes }: Entry<T>, sign: 1 | -1): void => {
    const own = heldBy(sender);
    const items = own.items + sign;
    if (items === 0) held.delete(sender);
    else held.set(sender, { items, bytes: own.bytes + sign * bytes });
    total.items += sign;
    total.bytes += sign * bytes;
  };
  const remove = (entry: Entry<T>): void => {
    entries.delete(entry.key);
    const needing = byNeed.get(entry.needs);
    needing?.delete(entry.key);
    if (needing?.size === 0) byNeed.delete(entry.needs);
    count(entry, -1);
  };
  const dropOld = (): void => {
    for (const entry of entries.values()) {
      if (options.now() - entry.since <= options.maxAgeMs) return;
      remove(entry);
    }
  };

  return {
    add(item, about) {
      dropOld();
      if (entries.has(about.key)) return true;
      const own = heldBy(about.sender);
      if (own.items + 1 > options.maxItems * SHARE_OF_SENDER) return false;
      if (own.bytes + about.bytes > options.maxBytes * SHARE_OF_SENDER) return false;
      for (const oldest of entries.values()) {
        if (total.items + 1 <= options.maxItems && total.bytes + about.bytes <= options.maxBytes) break;
        remove(oldest);
      }
      const entry = { ...about, item, since: options.now() };
      entries.set(about.key, entry);
      byNeed.set(about.needs, (byNeed.get(about.needs) ?? new Set()).add(about.key));
      count(entry, 1);
      return true;
    },
    get: (key) => entries.get(key)?.item,
    take(needs) {
      dropOld();
      const found = [...(byNeed.get(needs) ?? [])].map((key) => entries.get(key) as Entry<T>);
      for (const entry of found) remove(entry);
      return found.map(({ item, sender }) => ({ item, sender }));
    },
  };
}
