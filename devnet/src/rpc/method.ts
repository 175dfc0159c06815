import { GevulotError } from "gevulot-sdk";
import { parseWireHash } from "gevulot-sdk/protocol";
import { z } from "zod";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    PARAMETER_INVALID: { path: string };
  }
}

/** A method, and all that the OpenRPC document says about it. */
export interface Method<P = unknown> {
  readonly summary: string;
  /** Null for a method without a parameter. */
  readonly parameter: { readonly name: string; readonly schema: z.ZodType } | null;
  /** Of what follows `Ok`; of the bare result where `bare` is set. */
  readonly result: { readonly name: string; readonly schema: z.ZodType };
  /** The result stands for itself, without `Ok` around it. */
  readonly bare?: boolean;
  /** Throws `WIRE_VALUE_INVALID` or `PARAMETER_INVALID`, which become JSON-RPC's -32602. */
  readonly parse: (parameter: unknown) => P;
  /** Gives the wire form of the result. */
  readonly run: (parameter: P) => Promise<unknown>;
}

/** Lets each method's parser and body agree on a type, and the table of methods hold any. */
export function defineMethod<P>(method: Method<P>): Method {
  return method as Method;
}

/** Sections 1 and 5 of the protocol: in parameters a hash is an array of 32 numbers. */
export const hashParameter = {
  parameter: { name: "hash", schema: z.array(z.int().min(0).max(255)).length(32) },
  parse: (value: unknown) => parseWireHash(value),
} as const;

/** Reads a parameter by its schema. */
export function parserOf<S extends z.ZodType>(schema: S): (value: unknown) => z.output<S> {
  return (value) => {
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    const issue = parsed.error.issues[0];
    const path = issue?.path.join(".") ?? "";
    throw new GevulotError("PARAMETER_INVALID", `${path === "" ? "" : `${path}: `}${issue?.message}`, {
      context: { path },
    });
  };
}
