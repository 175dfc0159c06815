import type { Hash, Transaction, TxFile } from "../transaction.ts";
import type { RpcFile, RpcPayload, RpcTransaction } from "./rpcTransaction.ts";

export interface ToRpcTransactionOptions {
  /** `host:port` of the answering node's file server; an IPv6 address in brackets. */
  readonly rpcHost: string;
}

/** What `getTransaction` answers for a transaction (protocol section 5). */
export function toRpcTransaction(
  transaction: Transaction,
  { rpcHost }: ToRpcTransactionOptions,
): RpcTransaction {
  const { author, hash, payload, nonce, signature } = transaction;
  const files = "files" in payload ? payload.files.map((file) => toRpcFile(file, hash, rpcHost)) : [];
  const rpcPayload = ("files" in payload ? { ...payload, files } : payload) as RpcPayload;
  return { author, hash, payload: rpcPayload, nonce, signature };
}

function toRpcFile({ name, checksum }: TxFile, hash: Hash, rpcHost: string): RpcFile {
  return { url: `http://${rpcHost}${outputFilePath(hash, { name, checksum })}`, checksum, vmPath: name };
}

/** Where a node serves an output file of a Proof or Verification (protocol section 6). */
export function outputFilePath(transaction: Hash, file: Pick<TxFile, "name" | "checksum">): string {
  const baseName = file.name.slice(file.name.lastIndexOf("/") + 1);
  return `/txfiles/${transaction}/${file.checksum}/${percentEncode(baseName)}`;
}

/** All but letters, digits and `-_.~`. */
function percentEncode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
