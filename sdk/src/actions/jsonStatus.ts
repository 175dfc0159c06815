import { describe, invalidAt, type JsonCodec } from "../protocol/json/jsonCodec.ts";
import { jsonString } from "../protocol/json/leaves.ts";

export const jsonInteger: JsonCodec<number> = {
  toJson: (value) => value,
  fromJson: (json, path) => {
    if (typeof json === "number" && Number.isSafeInteger(json)) return json;
    throw invalidAt(path, `an integer is wanted, not ${describe(json)}`);
  },
};

/**
 * A string of a set that a later node may widen: what we don't know is passed on, rather than to fail where all else
 * can be understood.
 */
export function jsonWord<T extends string>(): JsonCodec<T> {
  return { toJson: (value) => value, fromJson: (json, path) => jsonString.fromJson(json, path) as T };
}
