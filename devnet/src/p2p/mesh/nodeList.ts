import type { NodeInfo } from "../peerNetwork.ts";
import {
  type Announcement,
  isAnnouncementGenuine,
  readAnnouncement,
  type VerifySignature,
} from "../wire/nodeSignature.ts";
import { formatAddress } from "../wire/socketAddress.ts";

/** An announcement from a clock that is further off is not taken: it may be an old one, told again. */
const MAX_CLOCK_DIFFERENCE_MS = 300_000;

/** "new": keep and pass on; "old": known; "bad": no honest node sends it. */
export type AnnouncementVerdict = "new" | "old" | "bad";

/** The nodes that are alive, by what they signed. */
export interface NodeList {
  hear(
    signed: Uint8Array,
    /** The proven key of the peer that sent it. */
    fromKey: string | null,
  ): {
    readonly verdict: AnnouncementVerdict;
    readonly announcement: Announcement | null;
  };
  /** Those that were heard of lately. */
  alive(): readonly NodeInfo[];
  /** The last announcement of each that is alive, for a peer that is new. */
  announcements(): readonly Uint8Array[];
  /** Forgets those that are silent; true where there were some. */
  expire(): boolean;
}

interface Known {
  readonly announcement: Announcement;
  readonly signed: Uint8Array;
  readonly heardAtMs: number;
}

export function createNodeList(
  deps: { readonly verify: VerifySignature; readonly now: () => number },
  options: { readonly ownKey: string | null; readonly timeoutMs: number; readonly maxNodes: number },
): NodeList {
  const { now } = deps;
  const nodes = new Map<string, Known>();
  const isFresh = ({ heardAtMs }: Known) => now() - heardAtMs < options.timeoutMs;
  const isListed = (known: Known) => known.announcement.state === "alive" && isFresh(known);

  return {
    hear(signed, fromKey) {
      const announcement = readAnnouncement(signed);
      if (announcement === null) return { verdict: "bad", announcement };
      const { publicKey, sentAtMs } = announcement;
      const last = nodes.get(publicKey);
      const isOld = sentAtMs <= (last?.announcement.sentAtMs ?? 0);
      const isOff = Math.abs(sentAtMs - now()) > MAX_CLOCK_DIFFERENCE_MS;
      // A copy costs no signature.
      if (publicKey === options.ownKey || isOld || isOff) return { verdict: "old", announcement };
      // Keys cost nothing: those that others tell must not keep out a node that is here itself.
      const isFull = !last && nodes.size >= options.maxNodes;
      if (isFull && publicKey !== fromKey) return { verdict: "old", announcement };
      if (!isAnnouncementGenuine(signed, deps.verify)) return { verdict: "bad", announcement };
      if (isFull) nodes.delete(nodes.keys().next().value!);
      nodes.set(publicKey, { announcement, signed: Uint8Array.from(signed), heardAtMs: now() });
      return { verdict: "new", announcement };
    },
    alive: () =>
      [...nodes.values()].filter(isListed).map(({ announcement, heardAtMs }) => ({
        publicKey: announcement.publicKey,
        resources: announcement.resources,
        address: formatAddress(announcement.address),
        httpUrl: httpUrlOf(announcement.address.host, announcement.httpPort),
        heardAtMs,
      })),
    announcements: () => [...nodes.values()].filter(isListed).map(({ signed }) => signed),
    expire() {
      let isChanged = false;
      for (const [key, known] of nodes) {
        if (isFresh(known)) continue;
        nodes.delete(key);
        isChanged ||= known.announcement.state === "alive";
      }
      return isChanged;
    },
  };
}

export function httpUrlOf(host: string, port: number | null): string | null {
  return port === null ? null : `http://${formatAddress({ host, port })}`;
}
