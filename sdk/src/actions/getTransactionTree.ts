import type { ActionOptions, ClientContext } from "../context/context.ts";
import { parseHash } from "../protocol/hash.ts";
import { parseTransactionTree, type TransactionTree } from "../protocol/rpc/transactionTree.ts";
import { hashToWire } from "../protocol/rpc/wireHash.ts";
import type { Hash } from "../protocol/transaction.ts";

/**
 * The Run that a hash belongs to, with its Proofs and their Verifications; the hash may be any of theirs. Throws
 * `REFUSED` with the kind `NotFound` where the node has none. Protocol section 5.
 */
export async function getTransactionTree(
  context: ClientContext,
  hash: Hash,
  options: ActionOptions & { readonly retries?: number } = {},
): Promise<TransactionTree> {
  const { signal, ...call } = options;
  const parameter = hashToWire(parseHash(hash));
  return context.transport.call("getTransactionTree", parameter, {
    parse: parseTransactionTree,
    ...call,
    isSafe: true,
    signal,
  });
}
