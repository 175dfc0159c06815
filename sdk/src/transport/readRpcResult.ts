import { GevulotError } from "../errors.ts";
import { expectObject, invalidAt, ownField } from "../protocol/json/jsonCodec.ts";

declare module "../errors.ts" {
  interface ErrorContexts {
    /** JSON-RPC's own error: `rpcCode` is -32601 where the node has no such method, -32602 for a wrong parameter. */
    RPC_CALL_INVALID: { method: string; rpcCode: number; reason: string };
  }
}

/** Takes the result out of a JSON-RPC 2.0 reply. Throws `RPC_CALL_INVALID`, or `WIRE_VALUE_INVALID` for no reply. */
export function readRpcResult(method: string, reply: unknown): unknown {
  const object = expectObject(reply, "");
  if (ownField(object, "jsonrpc") !== "2.0") throw invalidAt("jsonrpc", `"2.0" is wanted`);
  const error = ownField(object, "error");
  if (error === undefined || error === null) return ownField(object, "result");
  const fields = expectObject(error, "error");
  const rpcCode = ownField(fields, "code");
  if (typeof rpcCode !== "number") throw invalidAt("error.code", "a number is wanted");
  const reason = String(ownField(fields, "message") ?? "");
  throw new GevulotError(
    "RPC_CALL_INVALID",
    `The node can't take the call of ${method}: ${reason} (${rpcCode}).`,
    {
      context: { method, rpcCode, reason },
    },
  );
}
