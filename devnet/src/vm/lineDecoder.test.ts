import fc from "fast-check";
import { expect, test } from "vitest";
import { createLineDecoder } from "./lineDecoder.ts";

test("lines come out the same however the bytes are cut", () => {
  fc.assert(
    fc.property(
      fc.array(fc.stringMatching(/^[^\r\n]{0,20}$/)),
      fc.array(fc.nat(50)),
      fc.boolean(),
      (lines, cuts, isCrLf) => {
        const bytes = Buffer.from(lines.map((line) => line + (isCrLf ? "\r\n" : "\n")).join(""));
        const decoder = createLineDecoder({ maxLineBytes: 100 });
        const seen: string[] = [];
        let at = 0;
        for (const cut of [...cuts, bytes.length]) {
          seen.push(...decoder.push(bytes.subarray(at, at + cut)));
          at += cut;
        }
        expect(seen).toEqual(lines);
      },
    ),
  );
});

test("a line over the limit is dropped whole, and the next one is read", () => {
  const decoder = createLineDecoder({ maxLineBytes: 4 });
  const lines = ["123", "4\n12", "345", "6789", "0\nab\n"].flatMap((part) => decoder.push(Buffer.from(part)));
  expect(lines).toEqual(["1234", "ab"]);
});

test("what is kept is not changed by the caller's use of its buffer", () => {
  const decoder = createLineDecoder({ maxLineBytes: 10 });
  const chunk = Buffer.from("abc");
  decoder.push(chunk);
  chunk.fill(0);
  expect(decoder.push(Buffer.from("\n"))).toEqual(["abc"]);
});
