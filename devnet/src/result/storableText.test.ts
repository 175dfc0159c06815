import { expect, test } from "vitest";
import { storableText } from "./storableText.ts";

test.each([
  ["plain text, é😀\n", "plain text, é😀\n"],
  ["a\0b", "ab"],
  ["half \ud83d of one", "half \ufffd of one"],
  ["\ude00", "\ufffd"],
  ["x".repeat(20_000), `${"x".repeat(16_384)}…`],
  [`${"x".repeat(16_383)}😀`, `${"x".repeat(16_383)}\ufffd…`],
])("%j", (text, stored) => {
  expect(storableText(text)).toBe(stored);
  // What PostgreSQL's jsonb refuses.
  expect(JSON.stringify(storableText(text))).not.toMatch(/\\u(0000|d[89a-f])/);
});
