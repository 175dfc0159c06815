import type { ActionOptions, ClientContext } from "../context/context.ts";
import { signWith } from "../context/signer.ts";
import { parseHash } from "../protocol/hash.ts";
import { randomNonce } from "../protocol/signTransaction.ts";
import type { Hash } from "../protocol/transaction.ts";
import { sendTransaction } from "./sendTransaction.ts";

/**
 * Asks the node to end a Run: a running task's VM is stopped, a queued one never starts, and the Run fails with the
 * code `CANCELLED`. Only the Run's own author may. Gives the hash of the Cancel transaction. Throws `REFUSED`
 * (also where the Run has ended), `CANNOT_REACH_NODE`, `HASH_INVALID`, `NO_KEY` or `CANCELLED`. Protocol section 3.
 */
export async function cancel(context: ClientContext, run: Hash, options: ActionOptions = {}): Promise<Hash> {
  const parent = parseHash(run);
  const signer = await context.getSigner();
  const transaction = await signWith(signer, { kind: "cancel", parent }, randomNonce());
  return sendTransaction(context, transaction, options);
}
