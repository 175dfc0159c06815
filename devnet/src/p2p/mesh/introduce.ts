import { bytesToHex } from "gevulot-sdk/protocol";
import type { Connection } from "../connection/connection.ts";
import { HandshakeError, type OpenedConnection } from "../connection/openConnection.ts";
import type { PeerLimits } from "../peerLimits.ts";
import { signHello, type VerifySignature, verifyHello } from "../wire/nodeSignature.ts";
import { decodePeerMessage, encodePeerMessage } from "../wire/peerMessage.ts";
import { formatAddress, seenAddress } from "../wire/socketAddress.ts";
import { httpUrlOf } from "./nodeList.ts";
import { createPeer, type Peer } from "./peer.ts";

export interface Introduction {
  readonly opened: OpenedConnection;
  readonly connection: Connection;
  readonly messages: AsyncGenerator<Uint8Array>;
  readonly isModern: boolean;
  readonly role: "initiator" | "responder";
  readonly dialled: string | null;
  readonly remoteIp: string;
}

/** Makes a peer of a connection: between nodes of version 2 both first say hello, and show that they hold their keys. */
export type Introduce = (introduction: Introduction) => Promise<Peer>;

export interface IntroduceDeps {
  readonly secretKey: Uint8Array | null;
  readonly verify: VerifySignature;
  readonly now: () => number;
  readonly limits: PeerLimits;
}

export function createIntroduce(deps: IntroduceDeps): Introduce {
  const { secretKey, limits, now } = deps;
  return async (introduction) => {
    const { opened, connection, isModern, role, remoteIp, dialled } = introduction;
    const { handshakeHash } = opened.transport;
    const hello = isModern ? await exchangeHellos(deps, introduction) : null;
    const { listenAddress, httpPort } = opened.remoteGreeting;
    const address = seenAddress(listenAddress, remoteIp);
    if (hello?.publicKey && secretKey && hello.isOwnKey) {
      throw new HandshakeError("another node has this node's key: every node needs its own");
    }
    return createPeer({
      connection,
      isOutbound: role === "initiator",
      isModern,
      handshakeHash: bytesToHex(handshakeHash),
      remoteIp,
      dialled,
      address: formatAddress(address),
      isHere: address.host === remoteIp,
      httpUrl: httpUrlOf(address.host, httpPort),
      protocolVersion: opened.remoteVersion,
      provenKey: hello?.publicKey ?? null,
      isBeacon: hello?.isBeacon ?? false,
      limits,
      now,
    });
  };
}

interface Hello {
  readonly publicKey: string | null;
  readonly isBeacon: boolean;
  readonly isOwnKey: boolean;
}

async function exchangeHellos(deps: IntroduceDeps, introduction: Introduction): Promise<Hello> {
  const { opened, connection, messages, role } = introduction;
  const { handshakeHash } = opened.transport;
  const proof = deps.secretKey && signHello(deps.secretKey, handshakeHash, role);
  const { publicKey = null, signature = null } = proof ?? {};
  connection.send(encodePeerMessage({ type: "hello", publicKey, signature, isBeacon: proof === null }));
  const timer = setTimeout(() => connection.close("now"), deps.limits.handshakeTimeoutMs);
  try {
    const first = await messages.next();
    if (first.done) throw new HandshakeError("it closed the connection before its hello");
    const hello = decodePeerMessage(first.value);
    if (hello?.type !== "hello") throw new HandshakeError("its first message is no hello");
    if (hello.publicKey === null || hello.signature === null) {
      return { publicKey: null, isBeacon: hello.isBeacon, isOwnKey: false };
    }
    const theirs = { publicKey: hello.publicKey, signature: hello.signature };
    const theirRole = role === "initiator" ? "responder" : "initiator";
    if (!verifyHello(theirs, handshakeHash, theirRole, deps.verify)) {
      throw new HandshakeError("its hello is not signed by the key that it names");
    }
    const key = bytesToHex(hello.publicKey);
    const isOwnKey = publicKey !== null && key === bytesToHex(publicKey);
    return { publicKey: key, isBeacon: hello.isBeacon, isOwnKey };
  } finally {
    clearTimeout(timer);
  }
}
