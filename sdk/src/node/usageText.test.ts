import { expect, test } from "vitest";
import { usageText } from "./usageText.ts";

test.each([
  ["Unknown argument: deplyo", 'There is no command or option "deplyo".'],
  ["Unknown arguments: a, b", 'There is no command or option "a", "b".'],
  ["Unknown arguments: state-dir, stateDir, x", 'There is no command or option "state-dir", "x".'],
  ["Missing required arguments: prover, verifier", "Give --prover and --verifier."],
  ["Not enough arguments following: p", "Give -p a value."],
  [
    "Not enough non-option arguments: got 0, need at least 1",
    "Something is missing after the command: tool cat <file>",
  ],
  [
    'Invalid values:\n  Argument: what, Given: "things", Choices: "runs", "tasks"',
    'what: give one of "runs", "tasks"; it is "things".',
  ],
  ["Give a command.", "Give a command."],
  ["two\n  lines", "two; lines"],
])("%j", (message, text) => {
  const yargs = { showHelp: (print: (help: string) => void) => print("tool cat <file>\n\nShow a file") };
  expect(usageText(message, "tool", yargs)).toEqual({ text, command: "tool cat" });
});

test("help that says something else is not taken for a command", () => {
  const yargs = { showHelp: (print: (help: string) => void) => print("Options:") };
  expect(usageText("Give a command.", "tool", yargs).command).toBe("tool");
});
