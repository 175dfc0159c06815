import { readFileSync } from "node:fs";
import fc from "fast-check";
import { bytesToHex, decode, encode, hexToBytes } from "gevulot-sdk/protocol";
import { expect, test } from "vitest";
import { decodeGreeting, encodeGreeting, type Greeting } from "./greeting.ts";
import {
  type Diagnostics,
  decodeMessage,
  encodeFirstForm,
  encodeSecondForm,
  type Message,
} from "./message.ts";
import {
  compareAddresses,
  formatAddress,
  parseAddress,
  type SocketAddress,
  socketAddressCodec,
} from "./socketAddress.ts";

interface P2pVectors {
  readonly handshakes: readonly {
    readonly bytes: string;
    readonly bytes_versioned_1: string;
    readonly http_port: number | null;
    readonly my_p2p_listen_addr: string;
    readonly peers: readonly string[];
  }[];
  readonly messages: readonly {
    readonly name: string;
    readonly bytes: string;
    readonly bytes_versioned_1: string;
  }[];
}

const read = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../../../test/vectors/${name}.json`, import.meta.url), "utf8"));
const vectors = read("p2p") as P2pVectors;
const keys = read("keys") as { secret_key: string; public_key: string }[];
const transactions = read("transactions") as { name: string; bincode: string }[];

test.each(vectors.handshakes)("the handshake of $my_p2p_listen_addr", (vector) => {
  const greeting: Greeting = {
    listenAddress: parseAddress(vector.my_p2p_listen_addr)!,
    // The order is the codec's business.
    peers: vector.peers.map((peer) => parseAddress(peer)!).reverse(),
    httpPort: vector.http_port,
  };
  expect(bytesToHex(encodeGreeting(greeting))).toBe(vector.bytes);
  for (const bytes of [vector.bytes, vector.bytes_versioned_1]) {
    const decoded = decodeGreeting(hexToBytes(bytes));
    expect(decoded).toEqual({ ...greeting, peers: greeting.peers.toReversed() });
    expect([decoded.listenAddress, ...decoded.peers].map(formatAddress)).toEqual([
      vector.my_p2p_listen_addr,
      ...vector.peers,
    ]);
  }
});

const publicKey = keys.find(({ public_key: key }) => key.startsWith("043bd35fc4"))!.public_key;
const metrics = (hex: string): Diagnostics => ({ kind: "metrics", bytes: hexToBytes(hex.slice(-126)) });
const MESSAGES: Readonly<Record<string, (vector: { bytes_versioned_1: string }) => Message>> = {
  "request version": () => ({ type: "request", kind: "version" }),
  "request resources": () => ({ type: "request", kind: "resources" }),
  "request metrics": () => ({ type: "request", kind: "metrics" }),
  "response version 1.2.3 build abc (key 6)": () => ({
    type: "response",
    publicKey,
    diagnostics: { kind: "version", major: 1, minor: 2, patch: 3, build: "abc" },
  }),
  "response resources cpus 64 mem 524288 gpus 2 (key 6)": () => ({
    type: "response",
    publicKey,
    diagnostics: { kind: "resources", cpus: 64n, mem: 524_288n, gpus: 2n },
  }),
  "response metrics (key 6)": (vector) => ({
    type: "response",
    publicKey,
    diagnostics: metrics(vector.bytes_versioned_1),
  }),
};

test.each(vectors.messages)("the message $name", (vector) => {
  const message = MESSAGES[vector.name]!(vector);
  expect(bytesToHex(encodeSecondForm(message))).toBe(vector.bytes_versioned_1);
  expect(decodeMessage(hexToBytes(vector.bytes_versioned_1))).toEqual(message);
  expect(bytesToHex(encodeFirstForm(message))).toBe(vector.bytes);
  expect(decodeMessage(hexToBytes(vector.bytes)).type).toBe(message.type);
});

test.each(transactions)("a message with the transaction $name", ({ bincode }) => {
  const bytes = hexToBytes(bincode);
  const first = encodeFirstForm({ type: "transaction", bytes });
  expect(bytesToHex(first)).toBe(`${"00".repeat(8)}${bincode}`);
  for (const encoded of [first, encodeSecondForm({ type: "transaction", bytes })]) {
    expect(decodeMessage(encoded)).toEqual({ type: "transaction", bytes });
  }
});

test.each([
  ["nothing", ""],
  ["an unknown kind", "0100000000000000"],
  ["an unknown type", "0000000003000000"],
  ["an unknown question", "000000000100000003000000"],
  ["a question that only the second form has, in the first", "000000000100000001000000"],
  ["bytes behind the end", "00000000010000000000000000"],
  ["a short key", "00000000020000004000000000000000"],
  [
    "metrics longer than the message",
    `000000000000000100000000020000004100000000000000${"04".repeat(65)}02000000ffffffffffffffff`,
  ],
])("a message is refused: %s", (_, hex) => {
  expect(() => decodeMessage(hexToBytes(hex))).toThrow(expect.objectContaining({ code: "BINCODE_INVALID" }));
});

test.each([
  ["nothing", ""],
  ["an unknown kind", "01000000000000007f0000010f270000000000000000010b27"],
  ["an address of a third kind", "00000000020000007f0000010f270000000000000000010b27"],
  ["more peers than bytes", "00000000000000007f0000010f27ffffffffffffffff00"],
  ["an option of 2", "00000000000000007f0000010f270000000000000000020b27"],
  ["bytes behind the end", "00000000000000007f0000010f270000000000000000010b2700"],
])("a handshake is refused: %s", (_, hex) => {
  expect(() => decodeGreeting(hexToBytes(hex))).toThrow(expect.objectContaining({ code: "BINCODE_INVALID" }));
});

const address = fc.record({
  host: fc.oneof(fc.ipV4(), fc.ipV6()),
  port: fc.integer({ min: 0, max: 65_535 }),
});

test("addresses come back from bytes and text, and have one form", () => {
  fc.assert(
    fc.property(address, ({ host, port }) => {
      const parsed = parseAddress(formatAddress({ host, port }))!;
      expect(decode(socketAddressCodec, encode(socketAddressCodec, { host, port }))).toEqual(parsed);
      expect(parseAddress(formatAddress(parsed))).toEqual(parsed);
    }),
  );
});

test("peers are sorted as bytes are, IPv4 first, each once", () => {
  const peers = fc.array(address.map((each) => parseAddress(formatAddress(each))!));
  fc.assert(
    fc.property(peers, (some) => {
      const listenAddress = { host: "0.0.0.0", port: 1 };
      const greeting = decodeGreeting(
        encodeGreeting({ listenAddress, peers: [...some, ...some], httpPort: null }),
      );
      expect(greeting.peers).toEqual(greeting.peers.toSorted(compareAddresses));
      expect(new Set(greeting.peers.map(formatAddress))).toEqual(new Set(some.map(formatAddress)));
      expect(greeting.peers.length).toBe(new Set(some.map(formatAddress)).size);
    }),
  );
});

test.each([
  ["10.0.0.1:9999", { host: "10.0.0.1", port: 9_999 }],
  ["[::ffff:10.0.0.1]:1", { host: "10.0.0.1", port: 1 }],
  ["[2001:DB8:0:0::1]:80", { host: "2001:db8::1", port: 80 }],
  ["localhost:80", null],
  ["10.0.0.1", null],
  ["10.0.0.1:65536", null],
  ["10.0.0.1:-1", null],
  ["[10.0.0.1]:1", null],
  ["::1:80", null],
  ["", null],
] satisfies [string, SocketAddress | null][])("the text %s", (text, expected) => {
  expect(parseAddress(text)).toEqual(expected);
});
