import { expect, test } from "vitest";
import { runLine } from "./runLine.ts";

test("what a stranger calls his program does not reach the terminal as an order", () => {
  const line = { level: 30, time: 0, msg: "task started", task: "1", run: "ab", step: 0 };
  const shown = runLine(JSON.stringify({ ...line, program: "\u001b]0;title\u0007prover\u009b2J" }));
  expect(shown).toMatch(/step 0: task started \]0;titleprover2J$/);
  expect(runLine("no JSON \u001b[2J")).toBe("no JSON [2J");
  expect(runLine(JSON.stringify({ level: 30, msg: "quiet" }))).toBeNull();
});
