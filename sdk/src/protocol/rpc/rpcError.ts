import { describe, expectObject, invalidAt } from "../json/jsonCodec.ts";

/** An application error, by its name on the wire (protocol section 5). `Unauthorized` has no message of its own. */
export interface RpcError {
  readonly kind: RpcErrorKind;
  /** Empty for `Unauthorized`. */
  readonly message: string;
}

export type RpcErrorKind = "NotFound" | "MissingTx" | "InvalidRequest" | "Unauthorized" | "InternalError";

const TEXTS: Readonly<Record<RpcErrorKind, (message: string) => string>> = {
  NotFound: (message) => `not found: ${message}`,
  MissingTx: (message) => `A tx was missing: ${message}`,
  InvalidRequest: (message) => `invalid request: ${message}`,
  Unauthorized: () => "unauthorized",
  InternalError: (message) => `InternalError: ${message}`,
};

/** The text that the existing CLI prints for an error. */
export function rpcErrorText({ kind, message }: RpcError): string {
  return TEXTS[kind](message);
}

/** `{"NotFound": "…"}` and so on, or the string `"Unauthorized"`. */
export function rpcErrorToWire({ kind, message }: RpcError): unknown {
  return kind === "Unauthorized" ? kind : { [kind]: message };
}

/** Throws `WIRE_VALUE_INVALID`. */
export function parseRpcError(value: unknown): RpcError {
  if (value === "Unauthorized") return { kind: "Unauthorized", message: "" };
  const [kind = "", ...others] = Object.keys(expectObject(value, "Err"));
  if (!Object.hasOwn(TEXTS, kind) || kind === "Unauthorized" || others.length > 0) {
    throw invalidAt("Err", `one of ${Object.keys(TEXTS).join(", ")} is wanted, not ${describe(kind)}`);
  }
  const message = (value as Record<string, unknown>)[kind];
  if (typeof message !== "string")
    throw invalidAt(`Err.${kind}`, `a string is wanted, not ${describe(message)}`);
  return { kind: kind as RpcErrorKind, message };
}
