import { expect, test } from "vitest";
import { createConsoleText } from "./consoleText.ts";

test("what orders a terminal about does not reach it, however it is cut", () => {
  const bytes = Buffer.from("grün \u001b[31mred\u001b[0m\u001b[2J\u001b]0;title\u0007\r\nend");
  for (let at = 0; at <= bytes.length; at++) {
    const text = createConsoleText();
    const shown = text(bytes.subarray(0, at)) + text(bytes.subarray(at));
    expect(shown).toContain("grün ");
    expect(shown).toMatch(/title\nend$/);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there.
    expect(shown.replace(/\x1b\[\d+m/g, "")).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f]/);
  }
});
