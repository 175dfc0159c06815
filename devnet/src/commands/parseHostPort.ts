const HOST_PORT = /^(?:\[([0-9a-fA-F:]+)\]|([^\s:[\]]+)):(\d{1,5})$/;
const MAX_PORT = 65_535;

/** `host:port`, or `[address]:port` for IPv6; null for anything else. */
export function parseHostPort(text: string): { host: string; port: number } | null {
  const [, ipv6, name, digits] = HOST_PORT.exec(text) ?? [];
  const port = Number(digits);
  const host = ipv6 ?? name;
  return host === undefined || port > MAX_PORT ? null : { host, port };
}
