import type { BannedPeer } from "../peerNetwork.ts";
import { createBoundedMap } from "./boundedMap.ts";
import { createTokenBucket, type TokenBucket } from "./tokenBucket.ts";

const MAX_BANS = 4_096;
/** Of an IP address from which so many peers at fault came, connections are taken only now and then. */
const SUSPECT_FAULTS = 4;
const SUSPECTS_AT_ONCE = 2;
const SUSPECTS_PER_SECOND = 0.2;

/** Peers that are not spoken to for a while. */
export interface Bans {
  /** `marks`: `key:…`, or `at:…` of a peer without one. `ip` is null where all nodes of a machine have it. */
  add(marks: readonly string[], ip: string | null, about: Omit<BannedPeer, "untilMs">): void;
  has(marks: readonly string[]): boolean;
  /** Those that are banned now. */
  list(): readonly BannedPeer[];
  /**
   * Whether a connection from there may begin. A key costs nothing, so that a liar comes back with another; but honest
   * nodes may share its address (NAT): they are slowed down, and never shut out.
   */
  mayCome(ip: string): boolean;
}

/** Of a file server with wrong files: whoever comes and names it as its own is not welcome. */
export function filesMark(httpUrl: string): string {
  return `files:${httpUrl}`;
}

interface Suspect {
  readonly untilMs: number;
  readonly faults: number;
  readonly bucket: TokenBucket;
}

export function createBans(banMs: number, now: () => number): Bans {
  const banned = createBoundedMap<string, BannedPeer>(MAX_BANS);
  const suspects = createBoundedMap<string, Suspect>(MAX_BANS);
  const suspectOf = (ip: string): Suspect | null => {
    const suspect = suspects.get(ip);
    return suspect && suspect.untilMs > now() ? suspect : null;
  };
  return {
    add(marks, ip, about) {
      const untilMs = now() + banMs;
      const peer = { ...about, untilMs };
      for (const mark of marks) banned.set(mark, peer);
      if (ip === null) return;
      const { faults = 0, bucket = createTokenBucket(SUSPECTS_AT_ONCE, SUSPECTS_PER_SECOND, now) } =
        suspectOf(ip) ?? {};
      suspects.set(ip, { untilMs, faults: faults + 1, bucket });
    },
    has: (marks) => marks.some((mark) => (banned.get(mark)?.untilMs ?? 0) > now()),
    list: () => [...new Set(banned.values())].filter(({ untilMs }) => untilMs > now()),
    mayCome(ip) {
      const suspect = suspectOf(ip);
      return suspect === null || suspect.faults < SUSPECT_FAULTS || suspect.bucket.take();
    },
  };
}
