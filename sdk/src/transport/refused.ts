import { GevulotError } from "../errors.ts";
import { type RpcError, type RpcErrorKind, rpcErrorText } from "../protocol/rpc/rpcError.ts";

declare module "../errors.ts" {
  interface ErrorContexts {
    /** The node understood and said no. `kind` is the error's name on the wire, `reason` the node's own words. */
    REFUSED: { method: string; kind: RpcErrorKind; reason: string };
  }
}

export function refused(method: string, error: RpcError): GevulotError<"REFUSED"> {
  return new GevulotError("REFUSED", `The node refused ${method}: ${rpcErrorText(error)}`, {
    context: { method, kind: error.kind, reason: error.message },
  });
}
