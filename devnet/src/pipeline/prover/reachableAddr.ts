import { isIPv6 } from "node:net";
import { parseHostPort } from "../../hostPort.ts";
import { isWildcard } from "../wire/isWildcard.ts";

const PEER_PORT = /:\d+$/;
const MAPPED_IPV4 = /^::ffff:(?=\d+\.)/i;

/**
 * Where a stage's data is fetched from. A stage that listens at all addresses, and was given no `advertise_addr`, names
 * `0.0.0.0`: its host is then the one with which this node registered, else the one that the call came from.
 * @param peer `address:port` of the call, as gRPC gives it: an IPv6 address without brackets
 */
export function reachableAddr(
  addr: string,
  { stageAddrs, peer }: { readonly stageAddrs: readonly string[]; readonly peer: string },
): string {
  if (!isWildcard(addr)) return addr;
  const { port } = parseHostPort(addr)!;
  const registered = stageAddrs.filter((stage) => parseHostPort(stage)?.port === port);
  if (registered.length === 1) return registered[0]!;
  const host = peer.replace(PEER_PORT, "").replace(MAPPED_IPV4, "");
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}
