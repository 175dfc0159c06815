import { expect, test } from "vitest";
import { safeName, safeText } from "./safeText.ts";

test("what moves a terminal's cursor or sets its title is left out, colours stay", () => {
  expect(safeText("\u001b[31mred\u001b[0m \u001b[2J\u001b]0;title\u0007 a\tb\r\n\u009b1A")).toBe(
    "\u001b[31mred\u001b[0m [2J]0;title a\tb\n1A",
  );
  expect(safeText("\u001b[31\u0000m \u001b\u0000[2J")).toBe("[31m [2J");
});

test("a colour that is left on ends with the text", () => {
  expect(safeText("\u001b[8mhidden")).toBe("\u001b[8mhidden\u001b[0m");
  expect(safeText("\u001b[31mred\u001b[m")).toBe("\u001b[31mred\u001b[m");
});

test("a name stays in its line", () => {
  expect(safeName('prover"\n--- step 1 "\u001b[31mred\u009b2J')).toBe('prover" --- step 1 " [31mred 2J');
});
