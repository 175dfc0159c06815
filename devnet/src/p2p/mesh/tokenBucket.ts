/** How often something may happen: so many times at once, and so many more each second. */
export interface TokenBucket {
  /** False where it is too often. */
  take(): boolean;
}

export function createTokenBucket(atOnce: number, perSecond: number, now: () => number): TokenBucket {
  let tokens = atOnce;
  let filledAtMs = now();
  return {
    take() {
      const atMs = now();
      tokens = Math.min(atOnce, tokens + (Math.max(0, atMs - filledAtMs) / 1_000) * perSecond);
      filledAtMs = atMs;
      if (tokens < 1) return false;
      tokens -= 1;
      return true;
    },
  };
}
