import { expect, test } from "vitest";
import { WHOLE_RUN } from "../../../../test/fixtures/pipeline/wholeRun.ts";
import type { RunShape } from "../plan/planTasks.ts";
import { proofUrls } from "./proofUrls.ts";

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
  const urls = proofUrls("http://host:1/public/", { id: "a b", shape: { ...WHOLE_RUN, ...change } });
  expect(Object.values(urls)).toEqual(files.map((file) => `http://host:1/public/a%20b/${file}`));
});
