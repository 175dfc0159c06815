import { createBoundedMap } from "./boundedMap.ts";
import { createTokenBucket, type TokenBucket } from "./tokenBucket.ts";

const MAX_BANS = 4_096;
/** Of an IP address from which so many peers at fault came, connections are taken only now and then. */
const SUSPECT_FAULTS = 4;
const SUSPECTS_AT_ONCE = 2;
const SUSPECTS_PER_SECOND = 0.2;

/** Peers that are not spoken to for a while. */
export interface Bans {
  /** `mark`: `key:…`, or `at:…` of a peer without one. `ip` is null where all nodes of a machine have it. */
  add(marks: readonly string[], ip: string | null): void;
  has(marks: readonly string[]): boolean;
  /**
   * Whether a connection from there may begin. A key costs nothing, so that a liar comes back with another; but honest
   * nodes may share its address (NAT): they are slowed down, and never shut out.
   */
  mayCome(ip: string): boolean;
}

interface Suspect {
  readonly untilMs: number;
  readonly faults: number;
  readonly bucket: TokenBucket;
}

export function createBans(banMs: number, now: () => number): Bans {
  const until = createBoundedMap<string, number>(MAX_BANS);
  const suspects = createBoundedMap<string, Suspect>(MAX_BANS);
  const suspectOf = (ip: string): Suspect | null => {
    const suspect = suspects.get(ip);
    return suspect && suspect.untilMs > now() ? suspect : null;
  };
  return {
    add(marks, ip) {
      const untilMs = now() + banMs;
      for (const mark of marks) until.set(mark, untilMs);
      if (ip === null) return;
      const { faults = 0, bucket = createTokenBucket(SUSPECTS_AT_ONCE, SUSPECTS_PER_SECOND, now) } =
        suspectOf(ip) ?? {};
      suspects.set(ip, { untilMs, faults: faults + 1, bucket });
    },
    has: (marks) => marks.some((mark) => (until.get(mark) ?? 0) > now()),
    mayCome(ip) {
      const suspect = suspectOf(ip);
      return suspect === null || suspect.faults < SUSPECT_FAULTS || suspect.bucket.take();
    },
  };
}
