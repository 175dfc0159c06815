import type { ActionOptions, ClientContext } from "../context/context.ts";
import { isGevulotError } from "../errors.ts";
import { transactionToWire } from "../protocol/json/transactionJson.ts";
import type { Hash, Transaction } from "../protocol/transaction.ts";
import { isAmbiguous } from "../transport/httpTransport.ts";
import { getTransaction } from "./getTransaction.ts";

export interface SendOptions extends ActionOptions {
  /** Of a Run. */
  readonly deadlineMs?: number | undefined;
}

/**
 * Sends a signed transaction; resolves once the node has checked it, has downloaded its files, and has stored it.
 * Gives its hash. Where the answer is lost, the node is asked whether it has the transaction; if not, it is sent once
 * more. Throws `REFUSED` with the node's reason, `CANNOT_REACH_NODE`, `TOKEN_REFUSED` or `CANCELLED`. Protocol section 5.
 */
export async function sendTransaction(
  context: ClientContext,
  transaction: Transaction,
  options: SendOptions = {},
): Promise<Hash> {
  const { hash } = transaction;
  try {
    await sendOnce(context, transaction, options);
  } catch (lost) {
    if (!isAmbiguous(lost)) throw lost;
    if (await isStored(context, hash, options, lost)) return hash;
    // It had its time, and may still be at the files: a second one would begin them anew.
    if (isGevulotError(lost, "CANNOT_REACH_NODE") && lost.context.reason === "timeout") throw lost;
    await sendOnce(context, transaction, options).catch(async (error: unknown) => {
      // What the existing node says of a transaction that it has by now is no refusal of it.
      if (!(await isStored(context, hash, options, error))) throw error;
    });
  }
  return hash;
}

async function sendOnce(
  context: ClientContext,
  transaction: Transaction,
  { deadlineMs, ...options }: SendOptions,
): Promise<void> {
  const wire = transactionToWire(transaction);
  const [method, parameter] =
    deadlineMs === undefined ? ["sendTransaction", wire] : ["sendRun", { transaction: wire, deadlineMs }];
  await context.transport.call(method as string, parameter, {
    parse: () => null,
    isSafe: false,
    timeoutMs: context.sendTimeoutMs,
    signal: options.signal,
  });
}

/** Throws what happened before, where the node can't be asked. */
async function isStored(
  context: ClientContext,
  hash: Hash,
  options: ActionOptions,
  before: unknown,
): Promise<boolean> {
  try {
    await getTransaction(context, hash, options);
    return true;
  } catch (error) {
    if (isGevulotError(error, "CANCELLED")) throw error;
    if (isGevulotError(error, "REFUSED")) return false;
    throw before;
  }
}
