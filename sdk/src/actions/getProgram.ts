import type { ActionOptions, ClientContext } from "../context/context.ts";
import { parseHash } from "../protocol/hash.ts";
import { jsonProgramMetadata } from "../protocol/json/shared.ts";
import { hashToWire } from "../protocol/rpc/wireHash.ts";
import type { Hash, ProgramMetadata } from "../protocol/transaction.ts";

/**
 * A deployed program's metadata, by its hash. Throws `REFUSED` with the kind `NotFound` for an unknown program, and
 * `RPC_CALL_INVALID` with `rpcCode` -32601 where the node lacks this extension of the protocol.
 */
export async function getProgram(
  context: ClientContext,
  program: Hash,
  options: ActionOptions = {},
): Promise<ProgramMetadata> {
  return context.transport.call("getProgram", hashToWire(parseHash(program)), {
    parse: (value) => jsonProgramMetadata.fromJson(value, ""),
    isSafe: true,
    signal: options.signal,
  });
}
