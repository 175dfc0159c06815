import { jsonHashNumbers } from "../json/leaves.ts";
import type { Hash } from "../transaction.ts";

/** A hash as an array of 32 numbers: how the RPC's parameters and trees have it. */
export function hashToWire(hash: Hash): number[] {
  return jsonHashNumbers.toJson(hash) as number[];
}

/** Throws `WIRE_VALUE_INVALID`. */
export function parseWireHash(value: unknown, path = "hash"): Hash {
  return jsonHashNumbers.fromJson(value, path);
}
