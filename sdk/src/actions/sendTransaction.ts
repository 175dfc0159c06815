import type { ActionOptions, ClientContext } from "../context/context.ts";
import { transactionToWire } from "../protocol/json/transactionJson.ts";
import type { Hash, Transaction } from "../protocol/transaction.ts";

/**
 * Sends a signed transaction; resolves once the node has checked it, has downloaded its files, and has stored it.
 * Gives its hash. Throws `REFUSED` with the node's reason, `CANNOT_REACH_NODE` or `CANCELLED`. Protocol section 5.
 */
export async function sendTransaction(
  context: ClientContext,
  transaction: Transaction,
  options: ActionOptions = {},
): Promise<Hash> {
  await context.transport.call("sendTransaction", transactionToWire(transaction), {
    parse: () => null,
    isSafe: false,
    timeoutMs: context.sendTimeoutMs,
    signal: options.signal,
  });
  return transaction.hash;
}
