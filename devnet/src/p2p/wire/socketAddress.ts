import { isIP } from "node:net";
import type { Codec } from "gevulot-sdk/protocol";
import { parseHostPort } from "../../hostPort.ts";

/** An address by numbers, without names. `host` has no brackets, and is in the one form in which addresses compare. */
export interface SocketAddress {
  readonly host: string;
  readonly port: number;
}

const V4_BYTES = 4;
const V6_BYTES = 16;
const MAPPED_PREFIX = "0000000000000000" + "0000ffff";

export function formatAddress({ host, port }: SocketAddress): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Null where the text is no address by numbers: a name is for the dialer to look up. */
export function parseAddress(text: string): SocketAddress | null {
  const parts = parseHostPort(text);
  const host = parts && normalHost(parts.host);
  return parts && host ? { host, port: parts.port } : null;
}

/** What the system reports of a socket, with IPv4 addresses as such where a socket of IPv6 took them. */
export function normalHost(host: string): string | null {
  if (isIP(host) === 0) return null;
  return hostText(hostBytes(host));
}

/** 0.0.0.0, which means "where you see me". */
export function isUnspecified({ host }: SocketAddress): boolean {
  return host === "0.0.0.0" || host === "::";
}

/** Protocol section 7: 0.0.0.0 means "the address you see me at, with this port". */
export function seenAddress(told: SocketAddress, remoteIp: string): SocketAddress {
  return isUnspecified(told) ? { host: remoteIp, port: told.port } : told;
}

export function isLoopback(host: string): boolean {
  return host.startsWith("127.") || host === "::1";
}

/** IPv4 first, then by bytes, then by port: as the existing node's sorted set. */
export function compareAddresses(a: SocketAddress, b: SocketAddress): number {
  const [one, other] = [hostBytes(a.host), hostBytes(b.host)];
  if (one.length !== other.length) return one.length - other.length;
  return Buffer.compare(one, other) || a.port - b.port;
}

/** u32 0 and 4 bytes, or u32 1 and 16 bytes; then the port. */
export const socketAddressCodec: Codec<SocketAddress> = {
  minBytes: 10,
  write: ({ host, port }, to) => {
    const bytes = hostBytes(host);
    to.u32(bytes.length === V4_BYTES ? 0 : 1);
    to.bytes(bytes);
    to.u16(port);
  },
  read: (from) => {
    const version = from.u32();
    if (version > 1) throw from.error(`an address is of kind 0 or 1, not ${version}`, from.offset - 4);
    const host = hostText(from.take(version === 0 ? V4_BYTES : V6_BYTES));
    return { host, port: from.u16() };
  },
};

function hostBytes(host: string): Uint8Array {
  if (isIP(host) === V4_BYTES) return Uint8Array.from(host.split("."), Number);
  // A URL brings IPv6 into the one form of RFC 5952, without numbers in dots.
  const plain = new URL(`http://[${host.replace(/%.*$/, "")}]`).hostname.slice(1, -1);
  const [head = "", tail] = plain.split("::");
  const groups = (text: string) => (text === "" ? [] : text.split(":"));
  const [before, after] = [groups(head), groups(tail ?? "")];
  const zeros = tail === undefined ? 0 : V6_BYTES / 2 - before.length - after.length;
  const all = [...before, ...Array<string>(zeros).fill("0"), ...after];
  const bytes = Buffer.from(all.map((group) => group.padStart(4, "0")).join(""), "hex");
  return bytes.toString("hex").startsWith(MAPPED_PREFIX) ? bytes.subarray(V6_BYTES - V4_BYTES) : bytes;
}

function hostText(bytes: Uint8Array): string {
  if (bytes.length === V4_BYTES) return bytes.join(".");
  const hex = Buffer.from(bytes).toString("hex");
  if (hex.startsWith(MAPPED_PREFIX)) return bytes.subarray(V6_BYTES - V4_BYTES).join(".");
  return new URL(`http://[${hex.match(/.{4}/g)!.join(":")}]`).hostname.slice(1, -1);
}
