export interface RateLimit {
  /** @returns 0 where the call may go on, else after how many milliseconds it may come again. */
  take(key: string): number;
}

export interface RateLimitOptions {
  readonly perSecond: number;
  readonly now?: () => number;
}

/** Who comes in a burst may take this many seconds' worth at once. */
const BURST_SECONDS = 2;
const MAX_KEYS = 10_000;

/** A bucket of tokens for each key. Of too many keys the one that was not seen for longest is forgotten. */
export function createRateLimit({ perSecond, now = Date.now }: RateLimitOptions): RateLimit {
  const size = Math.max(1, perSecond * BURST_SECONDS);
  const buckets = new Map<string, { tokens: number; at: number }>();
  return {
    take(key) {
      const at = now();
      const last = buckets.get(key) ?? { tokens: size, at };
      const tokens = Math.min(size, last.tokens + ((at - last.at) / 1_000) * perSecond);
      const goesOn = tokens >= 1;
      // Put last, so that the map's first key is the oldest.
      buckets.delete(key);
      buckets.set(key, { tokens: goesOn ? tokens - 1 : tokens, at });
      if (buckets.size > MAX_KEYS) buckets.delete(buckets.keys().next().value as string);
      return goesOn ? 0 : Math.ceil(((1 - tokens) / perSecond) * 1_000);
    },
  };
}
