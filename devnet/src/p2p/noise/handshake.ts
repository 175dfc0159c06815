import { createHash } from "node:crypto";
import { type Cipher, TAG_BYTES } from "./cipher.ts";
import { createSymmetricState, type SymmetricState } from "./symmetricState.ts";
import { X25519_BYTES, type X25519KeyPair, x25519 } from "./x25519.ts";

/** Protocol section 7. */
export const NOISE_PATTERN = "Noise_XXpsk3_25519_ChaChaPoly_BLAKE2s";
export const DEFAULT_PASSPHRASE = "Pack my box with five dozen liquor jugs.";

type Token = "e" | "s" | "ee" | "es" | "se" | "psk";

/** Who sends what, the initiator first. */
const MESSAGES: readonly (readonly Token[])[] = [["e"], ["e", "ee", "s", "es"], ["s", "se", "psk"]];

/** Payloads are empty, so each message has one length. */
export const HANDSHAKE_MESSAGE_BYTES: readonly number[] = [
  X25519_BYTES + TAG_BYTES,
  X25519_BYTES + X25519_BYTES + TAG_BYTES + TAG_BYTES,
  X25519_BYTES + TAG_BYTES + TAG_BYTES,
];

export interface HandshakeOptions {
  readonly role: "initiator" | "responder";
  readonly psk: Uint8Array;
  /** Made for this connection alone, both of them. */
  readonly staticKey: X25519KeyPair;
  readonly ephemeralKey: X25519KeyPair;
}

/** What a handshake ends in: ciphers for both directions, and its hash, which names the connection. */
export interface Transport {
  readonly send: Cipher;
  readonly receive: Cipher;
  readonly handshakeHash: Uint8Array;
  readonly remoteStatic: Uint8Array;
}

/** Pure: the caller carries the messages. Write and read by turns, the initiator writes first. */
export interface NoiseHandshake {
  /** Whose turn it is, or "done". */
  readonly turn: "write" | "read" | "done";
  write(): Uint8Array;
  /** False where the message is not one of a peer with the same passphrase; the handshake is then over. */
  read(message: Uint8Array): boolean;
  /** The other side's static key once it came, else null. */
  readonly remoteStatic: Uint8Array | null;
  finish(): Transport;
}

/** The shared secret of all nodes of a network. */
export function pskOf(passphrase: string): Uint8Array {
  return createHash("sha3-256").update(passphrase, "utf8").digest();
}

interface Tokens {
  readonly state: SymmetricState;
  readonly remoteStatic: Uint8Array | null;
  write(token: Token): Uint8Array;
  /** The bytes that are left, or null where they can't be read. */
  read(token: Token, bytes: Uint8Array): Uint8Array | null;
}

/** What each token of a pattern does with the state. */
function createTokens(options: HandshakeOptions): Tokens {
  const { role, psk, staticKey, ephemeralKey } = options;
  const isInitiator = role === "initiator";
  const state = createSymmetricState(NOISE_PATTERN);
  state.mixHash(new Uint8Array(0));
  let remoteEphemeral: Uint8Array | null = null;
  let remoteStatic: Uint8Array | null = null;

  const mixShared = (token: Token): void => {
    const ownIsStatic = token === (isInitiator ? "se" : "es");
    const theirIsStatic = token === (isInitiator ? "es" : "se");
    const theirs = theirIsStatic ? remoteStatic : remoteEphemeral;
    state.mixKey(x25519(ownIsStatic ? staticKey : ephemeralKey, theirs!));
  };
  const write = (token: Token): Uint8Array => {
    if (token === "e") return mixEphemeral(state, ephemeralKey.publicKey);
    if (token === "s") return state.encryptAndHash(staticKey.publicKey);
    if (token === "psk") state.mixKeyAndHash(psk);
    else mixShared(token);
    return new Uint8Array(0);
  };
  const read = (token: Token, bytes: Uint8Array): Uint8Array | null => {
    if (token === "e") {
      remoteEphemeral = mixEphemeral(state, bytes.slice(0, X25519_BYTES));
      return bytes.subarray(X25519_BYTES);
    }
    if (token === "s") {
      const sealed = X25519_BYTES + TAG_BYTES;
      remoteStatic = state.decryptAndHash(bytes.subarray(0, sealed));
      return remoteStatic && bytes.subarray(sealed);
    }
    if (token === "psk") state.mixKeyAndHash(psk);
    else mixShared(token);
    return bytes;
  };
  return {
    state,
    write,
    read,
    get remoteStatic() {
      return remoteStatic;
    },
  };
}

export function createHandshake(options: HandshakeOptions): NoiseHandshake {
  const isInitiator = options.role === "initiator";
  const tokens = createTokens(options);
  let step = 0;

  const readMessage = (message: Uint8Array): boolean => {
    let rest: Uint8Array | null = message;
    for (const token of MESSAGES[step]!) {
      rest = tokens.read(token, rest);
      if (rest === null) return false;
    }
    return tokens.state.decryptAndHash(rest) !== null;
  };

  return {
    get turn() {
      if (step === MESSAGES.length) return "done";
      return (step % 2 === 0) === isInitiator ? "write" : "read";
    },
    get remoteStatic() {
      return tokens.remoteStatic;
    },
    write() {
      const parts = MESSAGES[step]!.map(tokens.write);
      parts.push(tokens.state.encryptAndHash(new Uint8Array(0)));
      step += 1;
      return Buffer.concat(parts);
    },
    read(message) {
      if (message.length !== HANDSHAKE_MESSAGE_BYTES[step]) return false;
      try {
        if (!readMessage(message)) return false;
      } catch {
        // A point of low order.
        return false;
      }
      step += 1;
      return true;
    },
    finish() {
      const [initiator, responder] = tokens.state.split();
      const [send, receive] = isInitiator ? [initiator, responder] : [responder, initiator];
      return { send, receive, handshakeHash: tokens.state.handshakeHash, remoteStatic: tokens.remoteStatic! };
    },
  };
}

/** With a pre-shared key the ephemeral is mixed into the key, too (Noise, section 9.2). */
function mixEphemeral(state: SymmetricState, publicKey: Uint8Array): Uint8Array {
  state.mixHash(publicKey);
  state.mixKey(publicKey);
  return publicKey;
}
