import { createRequire } from "node:module";
import { z } from "zod";
import { defineMethod, type Method } from "./method.ts";

/** What a call that reached its method answers instead of `Ok` (protocol section 5). */
const rpcErrors = z.union([
  z.object({ NotFound: z.string() }),
  z.object({ MissingTx: z.string() }),
  z.object({ InvalidRequest: z.string() }),
  z.literal("Unauthorized"),
  z.object({ InternalError: z.string() }),
]);

/** Adds `rpc.discover`, which describes all methods, itself included (open-rpc.org). */
export function withDiscovery(methods: Record<string, Method>): Record<string, Method> {
  const all: Record<string, Method> = {
    ...methods,
    "rpc.discover": defineMethod<null>({
      summary: "This document",
      parameter: null,
      result: { name: "document", schema: z.record(z.string(), z.unknown()) },
      bare: true,
      parse: () => null,
      run: async () => document,
    }),
  };
  const document = describeMethods(all);
  return all;
}

function describeMethods(methods: Record<string, Method>): unknown {
  const { version } = createRequire(import.meta.url)("../../package.json") as { version: string };
  return {
    openrpc: "1.3.2",
    info: {
      title: "Gevulot node",
      version,
      description:
        'JSON-RPC 2.0 over HTTP POST. Results are {"Ok": value}, or {"Err": error} where the call reached its method and was refused.',
      license: { name: "MIT OR Apache-2.0" },
    },
    methods: Object.entries(methods).map(([name, { summary, parameter, result, bare }]) => ({
      name,
      summary,
      paramStructure: "by-position",
      params: parameter
        ? [{ name: parameter.name, required: true, schema: toJsonSchema(parameter.schema) }]
        : [],
      result: {
        name: result.name,
        schema: toJsonSchema(
          bare ? result.schema : z.union([z.object({ Ok: result.schema }), z.object({ Err: rpcErrors })]),
        ),
      },
    })),
  };
}

function toJsonSchema(schema: z.ZodType): unknown {
  // What is given, not what comes out: a field with a default may be left out.
  return z.toJSONSchema(schema, { target: "draft-7", io: "input" });
}
