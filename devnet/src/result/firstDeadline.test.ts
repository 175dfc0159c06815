import { expect, test } from "vitest";
import { describeDeadline, firstDeadline } from "./firstDeadline.ts";

test.each([
  [{ programSeconds: null, runLeftMs: null }, { ms: 60_000, setBy: "node" }, "within 60 s"],
  [
    { programSeconds: 5, runLeftMs: null },
    { ms: 5_000, setBy: "program" },
    "within 5 s, its image's DeadlineSeconds,",
  ],
  [{ programSeconds: 90, runLeftMs: null }, { ms: 60_000, setBy: "node" }, "within 60 s"],
  [
    { programSeconds: 5, runLeftMs: 1_234.5 },
    { ms: 1_234.5, setBy: "run" },
    "before the deadline of its Run",
  ],
  [{ programSeconds: 5, runLeftMs: -3 }, { ms: 0, setBy: "run" }, "before the deadline of its Run"],
] as const)("of 60 s of the node and %j", (limits, first, words) => {
  expect(firstDeadline({ nodeMs: 60_000, ...limits })).toEqual(first);
  expect(describeDeadline(first)).toBe(words);
});
