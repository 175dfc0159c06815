import { optionInvalid } from "../context/checkOptions.ts";
import type { ActionOptions, ClientContext } from "../context/context.ts";
import { jsonArray, jsonNullable, jsonObject } from "../protocol/json/combinators.ts";
import { jsonHashHex, jsonString } from "../protocol/json/leaves.ts";
import type { Hash } from "../protocol/transaction.ts";
import { jsonWord } from "./jsonStatus.ts";

/** Something that a node keeps under a hash. */
export interface FoundHash {
  readonly hash: Hash;
  readonly kind: "run" | "proof" | "verification" | "deploy" | "program" | "other";
  /** That it belongs to. */
  readonly run: Hash | null;
  /** Of a program or Deploy. */
  readonly name: string | null;
}

const PREFIX = /^[0-9a-f]{4,64}$/;

const found = jsonArray(
  jsonObject<FoundHash>({
    hash: ["hash", jsonHashHex],
    kind: ["kind", jsonWord()],
    run: ["run", jsonNullable(jsonHashHex)],
    name: ["name", jsonNullable(jsonString)],
  }),
);

/**
 * The transactions and programs whose hashes begin with these hex digits, at most 20. Throws `OPTION_INVALID`, and
 * `RPC_CALL_INVALID` with `rpcCode` -32601 where the node lacks this extension of the protocol.
 */
export async function findHashes(
  context: ClientContext,
  prefix: string,
  options: ActionOptions = {},
): Promise<readonly FoundHash[]> {
  if (!PREFIX.test(prefix)) throw optionInvalid("prefix", "give 4 to 64 hex digits in lower case.");
  const parse = (value: unknown) => found.fromJson(value, "");
  return context.transport.call("findHashes", { prefix }, { parse, ...options, isSafe: true });
}
