import fc from "fast-check";
import { expect, test } from "vitest";
import { GlobTooCostly, matchGlob } from "./matchGlob.ts";

const matches = (pattern: string, path: string) => matchGlob(pattern, { steps: 1_000_000 })(path);

test.each([
  ["*.txt", ["a.txt", ".txt"], ["a/b.txt", "a.txtx", "atxt"]],
  ["**/*.txt", ["a.txt", "a/b.txt", "a/b/c.txt"], ["a/b.txt/c"]],
  ["a/**", ["a/b", "a/b/c"], ["a", "b/a/c"]],
  ["?", ["a", "é", "😀", "*"], ["", "/", "ab"]],
  ["a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["ab", "a/xb", "a/x/by"]],
  ["(a|b)+.[c]", ["(a|b)+.[c]"], ["a.c", "aa.c"]],
])("%s", (pattern, some, none) => {
  expect(some.filter((path) => !matches(pattern, path))).toEqual([]);
  expect(none.filter((path) => matches(pattern, path))).toEqual([]);
});

test("as a regular expression of the same meaning", () => {
  const part = fc.constantFrom("a", "b", "/", "*", "**", "**/", "?", "é");
  const path = fc.array(fc.constantFrom("a", "b", "/", "é"), { maxLength: 8 });
  fc.assert(
    fc.property(fc.array(part, { maxLength: 6 }), path, (parts, letters) => {
      const pattern = parts.join("");
      const source = pattern.replace(/\*\*\/|\*\*|\*|\?/g, (one) => {
        if (one === "**/") return "(?:.*/)?";
        if (one === "**") return ".*";
        return one === "*" ? "[^/]*" : "[^/]";
      });
      expect(matches(pattern, letters.join(""))).toBe(new RegExp(`^${source}$`, "su").test(letters.join("")));
    }),
  );
});

test("a pattern and a name that a regular expression would need years for", () => {
  const path = "a".repeat(250);
  expect(matches(`${"*a".repeat(100)}*b`, path)).toBe(false);
  expect(matches(`${"**/".repeat(100)}b`, `${"a/".repeat(125)}c`)).toBe(false);
});

test("its costs have an end", () => {
  const match = matchGlob("*a*a*a", { steps: 1_000 });
  expect(() => {
    for (;;) match("a".repeat(20));
  }).toThrow(GlobTooCostly);
});
