import { isGevulotError } from "gevulot-sdk";

/** File servers of other nodes, as `http://host:port`. */
export interface PeerServers {
  /** Those of nodes that are connected. */
  list(): readonly string[];
  /** A server gave something else under a path that stands for one content alone: its node lied. */
  onLie(server: string, reason: string): void;
}

/** Whom to ask: all but those that gave something wrong a while ago. */
export interface UsefulServers {
  list(): readonly string[];
  /** Looks at why a download failed. `isPathBinding`: as {@link PeerFile}'s. */
  failed(server: string, error: unknown, isPathBinding: boolean): void;
}

const ASIDE_MS = 600_000;
const MAX_ASIDE = 1_024;

/**
 * A server with wrong files is not asked for ten minutes, whatever the path. Only where the path binds the content is
 * it a lie: the hash of a Run does not fix its files (protocol section 4.9), and a Run that its author made in two
 * ways must not cost an honest node its peers.
 */
export function createUsefulServers(servers: PeerServers, now: () => number = Date.now): UsefulServers {
  const asideUntil = new Map<string, number>();
  return {
    list: () => servers.list().filter((server) => (asideUntil.get(server) ?? 0) <= now()),
    failed(server, error, isPathBinding) {
      if (!isGevulotError(error, "CHECKSUM_WRONG") && !isGevulotError(error, "BODY_TOO_LARGE")) return;
      asideUntil.delete(server);
      asideUntil.set(server, now() + ASIDE_MS);
      const [oldest] = asideUntil.keys();
      if (asideUntil.size > MAX_ASIDE && oldest !== undefined) asideUntil.delete(oldest);
      // One that is too large may be right all the same: the limit is this node's own.
      if (isPathBinding && isGevulotError(error, "CHECKSUM_WRONG"))
        servers.onLie(server, `it serves a wrong file: ${error.message}`);
    },
  };
}
