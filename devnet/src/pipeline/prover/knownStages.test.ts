import { expect, it } from "vitest";
import { createKnownStages } from "./knownStages.ts";

it("a node knows the stages that it was given, and what each of them announced last", () => {
  const stages = createKnownStages(["stage-a:50000", "stage-b:50000"]);
  const known = () =>
    ["stage-a:50000", "10.0.0.1:50000", "10.0.0.2:50001", "10.0.0.9:50000", "[fd00::9]:50000"].filter(
      stages.has,
    );
  expect(known()).toEqual(["stage-a:50000"]);
  stages.announce("stage-a:50000", "10.0.0.1:50000", "10.0.0.1:50000");
  stages.announce("stage-b:50000", "0.0.0.0:50000", "10.0.0.9:50000");
  expect(known()).toEqual(["stage-a:50000", "10.0.0.1:50000", "10.0.0.9:50000"]);
  stages.announce("stage-a:50000", "10.0.0.2:50001", "10.0.0.1:50000");
  stages.announce("stage-b:50000", "[::]:50000", "[fd00::9]:50000");
  expect(known()).toEqual(["stage-a:50000", "10.0.0.2:50001", "[fd00::9]:50000"]);
});
