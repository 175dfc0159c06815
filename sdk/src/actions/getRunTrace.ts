import type { ActionOptions, ClientContext } from "../context/context.ts";
import { parseHash } from "../protocol/hash.ts";
import { jsonArray, jsonNullable, jsonObject } from "../protocol/json/combinators.ts";
import { jsonHashHex, jsonPublicKeyHex, jsonString } from "../protocol/json/leaves.ts";
import { hashToWire } from "../protocol/rpc/wireHash.ts";
import type { Hash } from "../protocol/transaction.ts";
import type { RunTrace, TraceSpan } from "../runTrace.ts";
import { jsonInteger, jsonWord } from "./jsonStatus.ts";

const span = jsonObject<TraceSpan>({
  name: ["name", jsonWord()],
  startedAt: ["startedAt", jsonString],
  endedAt: ["endedAt", jsonNullable(jsonString)],
  tx: ["tx", jsonNullable(jsonHashHex)],
  kind: ["kind", jsonWord()],
  task: ["task", jsonNullable(jsonString)],
  step: ["step", jsonNullable(jsonInteger)],
  attempt: ["attempt", jsonNullable(jsonInteger)],
  peer: ["peer", jsonNullable(jsonString)],
  detail: ["detail", jsonString],
});

const runTrace = jsonObject<RunTrace>({
  run: ["run", jsonHashHex],
  node: ["node", jsonPublicKeyHex],
  p2pAddress: ["p2pAddress", jsonString],
  now: ["now", jsonString],
  spans: ["spans", jsonArray(span)],
  leftOut: ["leftOut", jsonInteger],
});

/**
 * What this node did for a Run, and when. Throws `REFUSED` with the kind `NotFound` for an unknown Run, and
 * `RPC_CALL_INVALID` with `rpcCode` -32601 where the node lacks this extension of the protocol.
 */
export async function getRunTrace(
  context: ClientContext,
  run: Hash,
  options: ActionOptions = {},
): Promise<RunTrace> {
  return context.transport.call("getRunTrace", hashToWire(parseHash(run)), {
    parse: (value) => runTrace.fromJson(value, ""),
    ...options,
    isSafe: true,
  });
}
