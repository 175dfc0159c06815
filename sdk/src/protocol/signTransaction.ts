import { bytesToHex } from "./hex.ts";
import { publicKeyOf } from "./keys.ts";
import { signMessage } from "./signature.ts";
import type { Payload, Transaction } from "./transaction.ts";
import { signingMessage, transactionHash } from "./transactionHash.ts";

export interface SignTransactionOptions<P extends Payload> {
  readonly payload: P;
  /** 0 to 2^64-1. The same author, payload and nonce make the same transaction: see {@link randomNonce}. */
  readonly nonce: bigint;
  readonly secretKey: Uint8Array;
}

/** Fills in author, hash and signature. Deterministic. Throws `SECRET_KEY_INVALID`. */
export function signTransaction<P extends Payload>(
  options: SignTransactionOptions<P>,
): Transaction<P["kind"]> & { readonly payload: P };
export function signTransaction({ payload, nonce, secretKey }: SignTransactionOptions<Payload>): Transaction {
  const author = publicKeyOf(secretKey);
  const hash = transactionHash({ author, payload, nonce });
  return {
    author,
    hash,
    payload,
    nonce,
    signature: bytesToHex(signMessage(signingMessage(hash), secretKey)),
  };
}

/** A random u64, so that the same payload can be sent again as another transaction. */
export function randomNonce(): bigint {
  return crypto.getRandomValues(new BigUint64Array(1))[0]!;
}
