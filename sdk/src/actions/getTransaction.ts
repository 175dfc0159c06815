import type { ActionOptions, ClientContext } from "../context/context.ts";
import { parseHash } from "../protocol/hash.ts";
import { parseRpcTransaction, type RpcTransaction } from "../protocol/rpc/rpcTransaction.ts";
import { hashToWire } from "../protocol/rpc/wireHash.ts";
import type { Hash } from "../protocol/transaction.ts";

/**
 * A transaction by its hash. Throws `REFUSED` with the kind `NotFound` where the node has none. Protocol section 5.
 */
export async function getTransaction(
  context: ClientContext,
  hash: Hash,
  options: ActionOptions = {},
): Promise<RpcTransaction> {
  const parameter = hashToWire(parseHash(hash));
  return context.transport.call("getTransaction", parameter, {
    parse: parseRpcTransaction,
    isSafe: true,
    signal: options.signal,
  });
}
