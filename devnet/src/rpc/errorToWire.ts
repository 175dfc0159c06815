import { type ErrorCode, isGevulotError } from "gevulot-sdk";
import type { RpcError, RpcErrorKind } from "gevulot-sdk/protocol";
import type { Logger } from "pino";

/** Which wire error an error of ours becomes (protocol section 5); those not named here are the sender's to mend. */
const KINDS: Partial<Record<ErrorCode, RpcErrorKind>> = {
  TX_UNKNOWN: "NotFound",
  TX_PARENT_MISSING: "MissingTx",
  TX_NOT_ALLOWED: "Unauthorized",
  DATABASE_UNREACHABLE: "InternalError",
  INTAKE_BUSY: "InternalError",
};

/** The only place where errors of the node turn into the wire's `Err`. What we did not foresee stays in the log. */
export function errorToWire(log: Logger, error: unknown): RpcError {
  if (isGevulotError(error)) return { kind: KINDS[error.code] ?? "InvalidRequest", message: error.message };
  log.error({ err: error }, "an RPC call failed");
  return { kind: "InternalError", message: "The node failed at this call; its log has the reason." };
}
