import { GevulotError } from "../errors.ts";
import { bytesToHex, hexToBytes } from "../protocol/hex.ts";
import { checkSecretKey, generateSecretKey, publicKeyOf } from "../protocol/keys.ts";
import { signMessage } from "../protocol/signature.ts";
import type { Payload, PublicKey, Transaction } from "../protocol/transaction.ts";
import { signingMessage, transactionHash } from "../protocol/transactionHash.ts";
import { checkFunction, checkObject, checkText } from "./checkOptions.ts";
import { needLocal, type Platform } from "./platform.ts";

declare module "../errors.ts" {
  interface ErrorContexts {
    /** The client was made without key, key file or signer, and something is to be signed. */
    NO_KEY: Record<string, never>;
  }
}

/** Signs for one account, wherever its secret is. */
export interface Signer {
  readonly publicKey: PublicKey;
  /** Signs 32 bytes as they are; gives r then s, 32 bytes big-endian each. */
  sign(message: Uint8Array): Uint8Array | Promise<Uint8Array>;
}

export interface KeyPair {
  /** 64 hex digits. */
  readonly secretKey: string;
  readonly publicKey: PublicKey;
}

/** 64 hex digits, 32 bytes, or what {@link generateKey} gives. */
export type SecretKeySource = string | Uint8Array | Pick<KeyPair, "secretKey">;

export interface SignerOptions {
  readonly key?: SecretKeySource;
  /** A file of 32 raw bytes; Node.js only. */
  readonly keyFile?: string;
  readonly signer?: Signer;
}

const SECRET_KEY_HEX = /^[0-9a-f]{64}$/i;

/** A new random key. */
export function generateKey(): KeyPair {
  const secretKey = generateSecretKey();
  return { secretKey: bytesToHex(secretKey), publicKey: publicKeyOf(secretKey) };
}

/** Throws `SECRET_KEY_INVALID`, which never holds the key: errors go into logs. */
export function createSigner(key: SecretKeySource): Signer {
  const source: unknown = typeof key === "string" || key instanceof Uint8Array ? key : key?.secretKey;
  const bytes = typeof source === "string" ? secretKeyBytes(source) : source;
  // A copy: who gave the bytes may wipe them.
  const secretKey = checkSecretKey(bytes instanceof Uint8Array ? bytes.slice() : new Uint8Array());
  return { publicKey: publicKeyOf(secretKey), sign: (message) => signMessage(message, secretKey) };
}

function secretKeyBytes(text: string): Uint8Array {
  if (SECRET_KEY_HEX.test(text)) return hexToBytes(text);
  throw new GevulotError(
    "SECRET_KEY_INVALID",
    `The secret key must be 64 hex digits, without 0x and blanks; this has ${text.length} characters.`,
    { context: { lengthBytes: Math.floor(text.length / 2) } },
  );
}

/** A wrong key is told at once; a key file is read when the first signature is wanted. */
export function createSignerSource(platform: Platform, options: SignerOptions): () => Promise<Signer> {
  const { key, keyFile, signer } = options;
  if (signer !== undefined) {
    checkObject("signer", signer);
    checkText("signer.publicKey", signer.publicKey);
    checkFunction("signer.sign", signer.sign ?? null);
    return async () => signer;
  }
  if (key !== undefined) {
    const fromKey = createSigner(key);
    return async () => fromKey;
  }
  if (keyFile !== undefined) {
    checkText("keyFile", keyFile);
    const local = needLocal(platform, "A key file");
    return async () => createSigner(await local.readKeyFile(keyFile));
  }
  return async () => {
    throw new GevulotError("NO_KEY", "The client has no key to sign with; give it key, keyFile or signer.", {
      context: {},
    });
  };
}

/** Makes a transaction and has it signed. */
export async function signWith(signer: Signer, payload: Payload, nonce: bigint): Promise<Transaction> {
  const author = signer.publicKey;
  const hash = transactionHash({ author, payload, nonce });
  const signature = bytesToHex(await signer.sign(signingMessage(hash)));
  return { author, hash, payload, nonce, signature };
}
