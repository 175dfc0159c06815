import type { ActionOptions, ClientContext } from "../context/context.ts";
import { parseHash } from "../protocol/hash.ts";
import { hashToWire } from "../protocol/rpc/wireHash.ts";
import type { Hash } from "../protocol/transaction.ts";
import type { RunStatus } from "../runStatus.ts";
import { parseRunStatus } from "./parseRunStatus.ts";

/**
 * Where a Run stands: its tasks, their attempts, and why it failed. Throws `REFUSED` with the kind `NotFound` for an
 * unknown Run, and `RPC_CALL_INVALID` with `rpcCode` -32601 where the node lacks this extension of the protocol.
 */
export async function getRunStatus(
  context: ClientContext,
  run: Hash,
  options: ActionOptions & { readonly retries?: number } = {},
): Promise<RunStatus> {
  const { signal, ...call } = options;
  const parameter = hashToWire(parseHash(run));
  return context.transport.call("getRunStatus", parameter, {
    parse: parseRunStatus,
    ...call,
    isSafe: true,
    signal,
  });
}
