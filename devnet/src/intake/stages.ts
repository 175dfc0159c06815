import type { PayloadKind, Transaction } from "gevulot-sdk/protocol";

declare const stage: unique symbol;

/**
 * The way of a transaction through the intake, as types: received, verified, its files fetched, stored. Only the
 * function of a stage makes the next one, so nothing unverified can be stored by mistake.
 */
export type Verified<K extends PayloadKind = PayloadKind> = Transaction<K> & { readonly [stage]: "verified" };
export type Fetched<K extends PayloadKind = PayloadKind> = Transaction<K> & { readonly [stage]: "fetched" };
