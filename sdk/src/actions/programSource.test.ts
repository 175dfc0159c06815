import { expect, it } from "vitest";
import type { ClientContext } from "../context/context.ts";
import { resolveProgram } from "./programSource.ts";

it("a deployed program has its own volumes; those that are undefined are none", async () => {
  const found = { name: "deployed" };
  const context = { transport: { call: async () => found } } as unknown as ClientContext;
  const resolve = (volumes: [] | undefined) => {
    const source = { hash: "ab".repeat(32), volumes };
    return resolveProgram(context, undefined as never, "prover", source, undefined);
  };
  expect(await resolve(undefined)).toBe(found);
  await expect(resolve([])).rejects.toMatchObject({ code: "PROGRAM_INVALID" });
});
