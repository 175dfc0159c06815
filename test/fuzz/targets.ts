import { isGevulotError } from "gevulot-sdk";
import { decodeTransaction, encodeTransaction } from "gevulot-sdk/protocol";
import { zstdStored, zstdText } from "../../devnet/src/p2p/gossip/zstd.ts";
import { createHandshake, HANDSHAKE_MESSAGE_BYTES, pskOf } from "../../devnet/src/p2p/noise/handshake.ts";
import { x25519KeyPair } from "../../devnet/src/p2p/noise/x25519.ts";
import { createAssembler, toChunks } from "../../devnet/src/p2p/wire/chunks.ts";
import { decodeGreeting, encodeGreeting } from "../../devnet/src/p2p/wire/greeting.ts";
import { decodeMessage, encodeFirstForm, encodeSecondForm } from "../../devnet/src/p2p/wire/message.ts";
import { readAnnouncement, signAnnouncement } from "../../devnet/src/p2p/wire/nodeSignature.ts";
import { decodePeerMessage, encodePeerMessage } from "../../devnet/src/p2p/wire/peerMessage.ts";
import { proofOf } from "../fixtures/testPeer.ts";

/** A decoder of what strangers send. */
export interface FuzzTarget {
  readonly name: string;
  /** Valid inputs, from which others are made. */
  readonly seeds: readonly Uint8Array[];
  /** Throws only for a bug. */
  readonly decode: (bytes: Uint8Array) => void;
}

const key = x25519KeyPair(new Uint8Array(32).fill(3));
const psk = pskOf("fuzz");
const secretKey = new Uint8Array(32).fill(5);
const address = { host: "10.0.0.1", port: 9_999 };
const transaction = encodeTransaction(proofOf(20, 1));
const id = "ab".repeat(32);

/** What a decoder says of wrong bytes; anything else that it throws is a bug. */
function orInvalid(decode: () => void): void {
  try {
    decode();
  } catch (error) {
    if (!isGevulotError(error) || error.code !== "BINCODE_INVALID") throw error;
  }
}

export const FUZZ_TARGETS: readonly FuzzTarget[] = [
  {
    name: "noise",
    seeds: [new Uint8Array(HANDSHAKE_MESSAGE_BYTES[0]!), Uint8Array.from(key.publicKey)],
    decode(bytes) {
      const responder = createHandshake({ role: "responder", psk, staticKey: key, ephemeralKey: key });
      if (responder.read(bytes)) throw new Error("a message without the passphrase's bytes was taken");
    },
  },
  {
    name: "greeting",
    seeds: [
      encodeGreeting({ listenAddress: address, peers: [], httpPort: 9_995 }),
      encodeGreeting({
        listenAddress: address,
        peers: [address, { host: "2001:db8::1", port: 1 }],
        httpPort: null,
      }),
    ],
    decode: (bytes) => orInvalid(() => decodeGreeting(bytes)),
  },
  {
    name: "message",
    seeds: [
      encodeFirstForm({ type: "transaction", bytes: transaction }),
      encodeSecondForm({ type: "request", kind: "metrics" }),
      encodeSecondForm({
        type: "response",
        publicKey: proofOf(0, 1).author,
        diagnostics: { kind: "metrics", bytes: zstdStored(Buffer.from("a 1\n")) },
      }),
    ],
    decode: (bytes) =>
      orInvalid(() => {
        const message = decodeMessage(bytes);
        if (message.type === "transaction") decodeTransaction(message.bytes);
      }),
  },
  {
    name: "peer message",
    seeds: (
      [
        { type: "hello", publicKey: new Uint8Array(65), signature: new Uint8Array(64), isBeacon: false },
        { type: "item", kind: "transaction", bytes: transaction },
        { type: "page", kind: "report", cursor: "12", ids: [id, id] },
        { type: "since", kind: "transaction", cursor: null },
        { type: "peer", address: "10.0.0.1:9999" },
        { type: "behind" },
      ] as const
    ).map(encodePeerMessage),
    decode: (bytes) => void decodePeerMessage(bytes),
  },
  {
    name: "chunks",
    seeds: [...toChunks(new Uint8Array(10)), ...toChunks(new Uint8Array(70_000))],
    decode(bytes) {
      const assembler = createAssembler(1_000_000);
      for (let at = 0; at < 20; at++) if (assembler.push(bytes).kind === "fault") return;
    },
  },
  {
    name: "announcement",
    seeds: [
      signAnnouncement(
        {
          publicKey: proofOf(0, 1).author,
          sentAtMs: 1,
          state: "alive",
          resources: { memMib: 1, cpus: 1, gpus: 0 },
          address,
          httpPort: 1,
        },
        secretKey,
      ),
    ],
    decode: (bytes) => void readAnnouncement(bytes),
  },
  {
    name: "metrics",
    seeds: [zstdStored(Buffer.from("p2p_connected_peers 3\n".repeat(10)))],
    decode: (bytes) => void zstdText(bytes),
  },
];
