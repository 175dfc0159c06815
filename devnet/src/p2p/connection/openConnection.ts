import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import { createHandshake, HANDSHAKE_MESSAGE_BYTES, type Transport } from "../noise/handshake.ts";
import { X25519_BYTES, type X25519KeyPair, x25519KeyPair } from "../noise/x25519.ts";
import { decodeGreeting, encodeGreeting, type Greeting, MAX_GREETING_BYTES } from "../wire/greeting.ts";
import { type ByteSource, createByteSource } from "./byteSource.ts";

export interface OpenOptions {
  readonly role: "initiator" | "responder";
  readonly psk: Uint8Array;
  readonly protocolVersion: number;
  /** Asked for when it is to be sent, so that it names the peers of that moment. */
  readonly greeting: () => Greeting;
  /** Called as soon as the peer's is read; a responder sends its own after that. */
  readonly onGreeting: (greeting: Greeting) => void;
  readonly timeoutMs: number;
  /** The static keys of this node's connections that are being opened: a peer with one of these is this node itself. */
  readonly ownStatics: Set<string>;
  readonly signal: AbortSignal;
}

/** A socket after both handshakes: what follows is encrypted. */
export interface OpenedConnection {
  readonly socket: Socket;
  readonly source: ByteSource;
  readonly transport: Transport;
  readonly remoteVersion: number;
  readonly remoteGreeting: Greeting;
}

/** Why a connection did not come about; the text is for the log. */
export class HandshakeError extends Error {
  readonly isSelf: boolean;
  constructor(message: string, isSelf = false) {
    super(message);
    this.isSelf = isSelf;
  }
}

/**
 * Noise, versions, greetings (protocol section 7, points 1 and 2), all within one deadline. When it rejects the socket
 * is destroyed.
 */
export async function openConnection(socket: Socket, options: OpenOptions): Promise<OpenedConnection> {
  const staticKey = x25519KeyPair(randomBytes(X25519_BYTES));
  const ownStatic = Buffer.from(staticKey.publicKey).toString("hex");
  const { ownStatics, signal, timeoutMs } = options;
  ownStatics.add(ownStatic);
  const late = () => socket.destroy(new HandshakeError(`no handshake within ${timeoutMs} ms`));
  const timer = setTimeout(late, timeoutMs);
  const stop = () => socket.destroy(new HandshakeError("the node stops"));
  signal.addEventListener("abort", stop, { once: true });
  try {
    signal.throwIfAborted();
    const source = createByteSource(socket);
    const transport = await exchangeNoise(socket, source, staticKey, options);
    return { socket, source, transport, ...(await exchangeGreetings(socket, source, options)) };
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
    ownStatics.delete(ownStatic);
  }
}

async function exchangeNoise(
  socket: Socket,
  source: ByteSource,
  staticKey: X25519KeyPair,
  options: OpenOptions,
): Promise<Transport> {
  const ephemeralKey = x25519KeyPair(randomBytes(X25519_BYTES));
  const { role, psk } = options;
  const handshake = createHandshake({ role, psk, staticKey, ephemeralKey });
  for (let step = 0; handshake.turn !== "done"; step++) {
    if (handshake.turn === "write") {
      socket.write(withLength(handshake.write(), 2));
      continue;
    }
    const length = toNumber(await readExactly(source, 2));
    if (length !== HANDSHAKE_MESSAGE_BYTES[step]) {
      throw new HandshakeError(`a first frame of ${length} bytes: this is not our protocol`);
    }
    if (!handshake.read(await readExactly(source, length))) {
      throw new HandshakeError("the Noise handshake failed: most likely its passphrase is another one");
    }
    const { remoteStatic } = handshake;
    if (remoteStatic && options.ownStatics.has(Buffer.from(remoteStatic).toString("hex"))) {
      throw new HandshakeError("this is the node itself", true);
    }
  }
  return handshake.finish();
}

/** Each side's version and greeting, the initiator's before the responder's. */
async function exchangeGreetings(
  socket: Socket,
  source: ByteSource,
  options: OpenOptions,
): Promise<Pick<OpenedConnection, "remoteVersion" | "remoteGreeting">> {
  const isInitiator = options.role === "initiator";
  const version = Buffer.alloc(8);
  version.writeBigUInt64BE(BigInt(options.protocolVersion));
  if (isInitiator) socket.write(version);
  const announced = Buffer.from(await readExactly(source, 8)).readBigUInt64BE();
  if (!isInitiator) socket.write(version);
  // A version that a number can't hold is a later one all the same.
  const remoteVersion = Number(announced > 0xffff_ffffn ? 0xffff_ffffn : announced);

  if (isInitiator) socket.write(withLength(encodeGreeting(options.greeting()), 4));
  const length = toNumber(await readExactly(source, 4));
  if (length > MAX_GREETING_BYTES) throw new HandshakeError(`a handshake message of ${length} bytes`);
  const remoteGreeting = decodeGreeting(await readExactly(source, length));
  options.onGreeting(remoteGreeting);
  if (!isInitiator) socket.write(withLength(encodeGreeting(options.greeting()), 4));
  return { remoteVersion, remoteGreeting };
}

async function readExactly(source: ByteSource, length: number): Promise<Uint8Array> {
  const bytes = await source.read(length);
  if (bytes === null) {
    throw new HandshakeError(
      "the peer closed during the handshake: most likely its passphrase is another one",
    );
  }
  return bytes;
}

function withLength(bytes: Uint8Array, lengthBytes: 2 | 4): Uint8Array {
  const length = Buffer.alloc(lengthBytes);
  length.writeUIntBE(bytes.length, 0, lengthBytes);
  return Buffer.concat([length, bytes]);
}

function toNumber(bytes: Uint8Array): number {
  return bytes.reduce((value, byte) => value * 256 + byte, 0);
}
