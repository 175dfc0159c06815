/** `host:port`, checked by the configuration, with an IPv6 host in brackets. */
export function splitAddress(addr: string): { host: string; port: number } {
  const at = addr.lastIndexOf(":");
  return { host: addr.slice(0, at).replace(/^\[|\]$/g, ""), port: Number(addr.slice(at + 1)) };
}
