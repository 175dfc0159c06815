import { type Codec, decode, encode } from "gevulot-sdk/protocol";
import { compareAddresses, formatAddress, type SocketAddress, socketAddressCodec } from "./socketAddress.ts";

/** What nodes tell each other first, unencrypted (protocol section 7, point 2). */
export interface Greeting {
  readonly listenAddress: SocketAddress;
  readonly peers: readonly SocketAddress[];
  readonly httpPort: number | null;
}

/** Longer ones are not read: some 11,000 peers. */
export const MAX_GREETING_BYTES = 256 * 1_024;
const VERSION_BYTES = 8;

const greetingCodec: Codec<Greeting> = {
  minBytes: 4 + socketAddressCodec.minBytes + 8 + 1,
  write: ({ listenAddress, peers, httpPort }, to) => {
    to.u32(0);
    socketAddressCodec.write(listenAddress, to);
    const sorted = distinct(peers).sort(compareAddresses);
    to.u64(BigInt(sorted.length));
    for (const peer of sorted) socketAddressCodec.write(peer, to);
    to.u8(httpPort === null ? 0 : 1);
    if (httpPort !== null) to.u16(httpPort);
  },
  read: (from) => {
    const variant = from.u32();
    if (variant !== 0) throw from.error(`a handshake is of kind 0, not ${variant}`, from.offset - 4);
    const listenAddress = socketAddressCodec.read(from);
    const count = from.count(socketAddressCodec.minBytes);
    const peers = distinct(Array.from({ length: count }, () => socketAddressCodec.read(from)));
    const hasPort = from.u8();
    if (hasPort > 1) throw from.error(`an option begins with 0 or 1, not ${hasPort}`, from.offset - 1);
    return { listenAddress, peers, httpPort: hasPort === 1 ? from.u16() : null };
  },
};

export const encodeGreeting = (greeting: Greeting): Uint8Array => encode(greetingCodec, greeting);

/** Reads it with or without a version (u64) before it. Throws `BINCODE_INVALID`. */
export function decodeGreeting(bytes: Uint8Array): Greeting {
  try {
    return decode(greetingCodec, bytes);
  } catch (error) {
    if (bytes.length < VERSION_BYTES) throw error;
    return decode(greetingCodec, bytes.subarray(VERSION_BYTES));
  }
}

function distinct(addresses: readonly SocketAddress[]): SocketAddress[] {
  return [...new Map(addresses.map((address) => [formatAddress(address), address])).values()];
}
