import { expect, test } from "vitest";
import type { RunShape } from "../plan/planTasks.ts";
import { proofUrls } from "./proofUrls.ts";

const SHAPE: RunShape = {
  version: "zkm",
  target: "snark",
  fromAgg: false,
  singleNode: false,
  deferredProofs: 0,
  verifies: false,
};

test.each<[Partial<RunShape>, string[]]>([
  [
    {},
    ["snark/proof_with_public_inputs.json", "wrap/proof_with_public_inputs.json", "wrap/public_values.json"],
  ],
  [{ version: "zkm2" }, ["snark/proof_with_public_inputs.json", "wrap/public_values.bin"]],
  [{ target: "agg" }, ["snark/proof_with_public_inputs.json", "wrap/public_values.json"]],
  [{ target: "prove" }, ["wrap/public_values.json"]],
  [{ target: "split" }, []],
])("a run of %j gets the URLs of what it leaves", (change, files) => {
  const urls = proofUrls("http://host:1/public/", { id: "a b", shape: { ...SHAPE, ...change } });
  expect(Object.values(urls)).toEqual(files.map((file) => `http://host:1/public/a%20b/${file}`));
});
