import { expectObject, invalidAt } from "../json/jsonCodec.ts";
import { parseRpcError, type RpcError, rpcErrorToWire } from "./rpcError.ts";

/** The `result` of a JSON-RPC reply: an application error is a successful call (protocol section 5). */
export type RpcReply =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly error: RpcError };

/** `{"Ok": value}`; the value must be in its wire form already. */
export function okReplyToWire(value: unknown): { readonly Ok: unknown } {
  return { Ok: value };
}

/** `{"Err": …}`. */
export function errReplyToWire(error: RpcError): { readonly Err: unknown } {
  return { Err: rpcErrorToWire(error) };
}

/** Splits a reply; the value stays in its wire form. Throws `WIRE_VALUE_INVALID`. */
export function parseRpcReply(result: unknown): RpcReply {
  const object = expectObject(result, "result");
  const [name, ...others] = Object.keys(object);
  if (others.length === 0 && name === "Ok") return { ok: true, value: object.Ok };
  if (others.length === 0 && name === "Err") return { ok: false, error: parseRpcError(object.Err) };
  throw invalidAt("result", "an object with one field Ok or Err is wanted");
}
