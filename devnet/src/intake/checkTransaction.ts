import { timingSafeEqual } from "node:crypto";
import { encodeTransaction, type Transaction } from "gevulot-sdk/protocol";
import type { Logger } from "pino";
import type { Database } from "../store/database.ts";
import { createBatchedLoader } from "../store/loadBatched.ts";
import { readManyTransactionBytes } from "../store/readTransactions.ts";
import { createNativeCrypto } from "./nativeCrypto.ts";
import type { Verified } from "./stages.ts";
import { verify } from "./verify.ts";

/** How many look-ups share a query. */
export const MAX_LOOKUP = 256;

/** Gives the transaction verified; null where it is stored: nothing of it is verified again. */
export type CheckTransaction = (tx: Transaction) => Promise<Verified | null>;

export function createTransactionCheck(deps: { log: Logger; database: Database }): CheckTransaction {
  const crypto = createNativeCrypto();
  const limits = { maxKeys: MAX_LOOKUP };
  const storedBytes = createBatchedLoader(
    (hashes) => readManyTransactionBytes(deps.database, hashes),
    limits,
  );
  return async (tx) => {
    const stored = await storedBytes(tx.hash);
    if (stored !== null && sameBytes(stored, encodeTransaction(tx))) return null;
    const verified = verify(tx, crypto);
    if (stored === null) return verified;
    // Lengths and resources are not hashed, so two contents can carry one hash: the first stored wins.
    deps.log.warn({ tx: tx.hash }, "a different transaction with the hash of a stored one was left out");
    return null;
  };
}

/** Whether they are one transaction, its signature and all that is not hashed included. */
export function isSameTransaction(a: Transaction, b: Transaction): boolean {
  return sameBytes(encodeTransaction(a), encodeTransaction(b));
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
