import { expect, test } from "vitest";
import type { NodeLink } from "./nodeLink.ts";
import type { Programs } from "./programNames.ts";
import { createTransactions } from "./results.ts";

test("of a Run's many results a few are asked for at once, and each once", async () => {
  let asked = 0;
  let underWay = 0;
  let most = 0;
  const call = async () => {
    asked++;
    most = Math.max(most, ++underWay);
    await new Promise((resolve) => setImmediate(resolve));
    underWay--;
    return { author: "a", payload: { Proof: { parent: "r", prover: "p", proof: "eA==", files: [] } } };
  };
  const link = { call } as unknown as NodeLink;
  const programs = {
    refs: async (hashes: string[]) => hashes.map((hash) => ({ hash, name: null })),
  } as unknown as Programs;
  const transactions = createTransactions(() => [link], programs);
  const hashes = Array.from({ length: 200 }, (_, index) => index.toString(16).padStart(64, "0"));
  const results = await Promise.all(hashes.map((hash) => transactions.result(hash)));
  expect(results.map(({ hash }) => hash)).toEqual(hashes);
  expect(results[0]?.preview).toBe("x");
  await transactions.result(hashes[0] as string);
  expect([asked, most]).toEqual([200, 8]);
});
