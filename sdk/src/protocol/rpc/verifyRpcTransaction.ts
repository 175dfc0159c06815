import { GevulotError } from "../../errors.ts";
import { hexToBytes } from "../hex.ts";
import { verifySignature } from "../signature.ts";
import type { Hash, Payload, TxFile } from "../transaction.ts";
import { signingMessage, transactionHash } from "../transactionHash.ts";
import type { RpcTransaction } from "./rpcTransaction.ts";

/**
 * How much of an RPC answer is proven to be its author's. `content`: all of it. `hash`: the hash is, but not that the
 * shown content hashes to it, since the RPC does not show the URLs that the files of a Proof or Verification were signed
 * with. Their checksums can be tested against the files, but could be another transaction's.
 */
export type Authenticity = "content" | "hash";

/**
 * Checks an RPC answer's signature, and recomputes its hash where that can be done: without files, and where the
 * answering node is the one that made the files. Throws `TRANSACTION_SIGNATURE_WRONG` or `TRANSACTION_HASH_DIFFERS`.
 */
export function verifyRpcTransaction(transaction: RpcTransaction): Authenticity {
  const { hash, author, signature, nonce } = transaction;
  if (!verifySignature(hexToBytes(signature), signingMessage(hash), hexToBytes(author))) {
    throw new GevulotError(
      "TRANSACTION_SIGNATURE_WRONG",
      `The node shows transaction ${hash} with a signature that is not its author's. Ask another node.`,
      { context: { verdict: "drop", hash } },
    );
  }
  const payload = withSignedUrls(transaction);
  const computed = transactionHash({ author, payload, nonce });
  if (computed === hash) return "content";
  if ("files" in payload && payload.files.length > 0) return "hash";
  throw hashDiffers(hash, computed);
}

/** Supposes that the answering node made the files: then their URLs begin with the signed one. */
function withSignedUrls({ payload }: RpcTransaction): Payload {
  if (!("files" in payload)) return payload;
  const files: TxFile[] = payload.files.map(({ url, checksum, vmPath }) => ({
    name: vmPath,
    url: /^https?:\/\/[^/]*/.exec(url)?.[0] ?? "",
    checksum,
  }));
  return { ...payload, files };
}

function hashDiffers(hash: Hash, computed: Hash): GevulotError<"TRANSACTION_HASH_DIFFERS"> {
  return new GevulotError(
    "TRANSACTION_HASH_DIFFERS",
    `The node shows transaction ${hash} with a content that hashes to ${computed}. Ask another node.`,
    { context: { verdict: "drop", hash, computed } },
  );
}
