import { createHash } from "node:crypto";
import { bytesToHex, type Codec, decode, encode, hexToBytes } from "gevulot-sdk/protocol";
import { publicKeyOf, signMessage } from "../../nativeKeys.ts";
import type { PeerResources } from "../peerNetwork.ts";
import { type SocketAddress, socketAddressCodec } from "./socketAddress.ts";

/** Verifies a 64-byte signature of 32 bytes by a 65-byte key. */
export type VerifySignature = (signature: Uint8Array, message: Uint8Array, key: Uint8Array) => boolean;

// Different words before what is signed: no signature can be taken for one of another purpose.
const HELLO_WORDS = "gevulot p2p hello\0";
const ANNOUNCEMENT_WORDS = "gevulot p2p announcement\0";
const KEY_BYTES = 65;
const SIGNATURE_BYTES = 64;

/**
 * What a node signs to show that it holds its key: the hash of this very connection, and its side, so that the peer
 * can't show it elsewhere as its own.
 */
function helloMessage(handshakeHash: Uint8Array, role: "initiator" | "responder"): Uint8Array {
  return digest(HELLO_WORDS, handshakeHash, Buffer.from(role));
}

export interface HelloProof {
  readonly publicKey: Uint8Array;
  readonly signature: Uint8Array;
}

export function signHello(
  secretKey: Uint8Array,
  handshakeHash: Uint8Array,
  role: "initiator" | "responder",
): HelloProof {
  const signature = signMessage(helloMessage(handshakeHash, role), secretKey);
  return { publicKey: hexToBytes(publicKeyOf(secretKey)), signature };
}

/** `role`: that of the side that signed. */
export function verifyHello(
  proof: HelloProof,
  handshakeHash: Uint8Array,
  role: "initiator" | "responder",
  verify: VerifySignature,
): boolean {
  return verify(proof.signature, helloMessage(handshakeHash, role), proof.publicKey);
}

/** What a node says of itself to nodes that it is not connected to. */
export interface Announcement {
  readonly publicKey: string;
  /** By its own clock; only what is later than the last counts. */
  readonly sentAtMs: number;
  readonly state: "alive" | "leaving";
  readonly resources: PeerResources;
  readonly address: SocketAddress;
  readonly httpPort: number | null;
}

const announcementCodec: Codec<Announcement> = {
  minBytes: KEY_BYTES,
  write: (value, to) => {
    to.bytes(hexToBytes(value.publicKey));
    to.u64(BigInt(value.sentAtMs));
    to.u8(value.state === "alive" ? 0 : 1);
    const { memMib, cpus, gpus } = value.resources;
    for (const each of [memMib, cpus, gpus]) to.u64(BigInt(each));
    socketAddressCodec.write(value.address, to);
    to.u16(value.httpPort ?? 0);
  },
  read: (from) => {
    const publicKey = bytesToHex(from.take(KEY_BYTES));
    const number = () => {
      const value = from.u64();
      if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw from.error("a number that no node has");
      return Number(value);
    };
    const sentAtMs = number();
    const state = from.u8();
    if (state > 1) throw from.error(`a node's state is 0 or 1, not ${state}`);
    const resources = { memMib: number(), cpus: number(), gpus: number() };
    const address = socketAddressCodec.read(from);
    const httpPort = from.u16() || null;
    return { publicKey, sentAtMs, state: state === 0 ? "alive" : "leaving", resources, address, httpPort };
  },
};

/** The announcement, and its signature behind it. */
export function signAnnouncement(announcement: Announcement, secretKey: Uint8Array): Uint8Array {
  const bytes = encode(announcementCodec, announcement);
  return Buffer.concat([bytes, signMessage(digest(ANNOUNCEMENT_WORDS, bytes), secretKey)]);
}

/** Null where it is malformed; the signature is not looked at. */
export function readAnnouncement(received: Uint8Array): Announcement | null {
  const signed = new Uint8Array(received);
  try {
    return decode(announcementCodec, signed.subarray(0, Math.max(0, signed.length - SIGNATURE_BYTES)));
  } catch {
    return null;
  }
}

export function isAnnouncementGenuine(signed: Uint8Array, verify: VerifySignature): boolean {
  const body = signed.subarray(0, signed.length - SIGNATURE_BYTES);
  const signature = signed.subarray(signed.length - SIGNATURE_BYTES);
  return verify(signature, digest(ANNOUNCEMENT_WORDS, body), body.subarray(0, KEY_BYTES));
}

function digest(words: string, ...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash("sha3-256").update(words);
  for (const part of parts) hash.update(part);
  return hash.digest();
}
