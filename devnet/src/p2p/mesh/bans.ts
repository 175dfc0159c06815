import { createBoundedMap } from "./boundedMap.ts";

const MAX_BANS = 4_096;

/** Peers that are not spoken to for a while, by what they can be known by: `key:…`, `at:…` (address), `ip:…`. */
export interface Bans {
  add(marks: readonly string[]): void;
  has(marks: readonly string[]): boolean;
}

export function createBans(banMs: number, now: () => number): Bans {
  const until = createBoundedMap<string, number>(MAX_BANS);
  return {
    add(marks) {
      for (const mark of marks) until.set(mark, now() + banMs);
    },
    has: (marks) => marks.some((mark) => (until.get(mark) ?? 0) > now()),
  };
}
