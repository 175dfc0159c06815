import { isIP } from "node:net";

export interface HostPort {
  /** A name or numbers, without brackets. */
  readonly host: string;
  readonly port: number;
}

const HOST_PORT = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s/]+)):(\d{1,5})$/;
const MAX_PORT = 65_535;

/** `host:port`, or `[address]:port` for IPv6; null for anything else. */
export function parseHostPort(text: string): HostPort | null {
  const [, ipv6, name, digits] = HOST_PORT.exec(text) ?? [];
  const port = Number(digits);
  const host = ipv6 ?? name;
  if (host === undefined || port > MAX_PORT || (ipv6 !== undefined && isIP(ipv6) !== 6)) return null;
  return { host, port };
}
