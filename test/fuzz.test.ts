import { expect, test } from "vitest";
import { fuzz } from "./fuzz/fuzz.ts";
import { FUZZ_TARGETS } from "./fuzz/targets.ts";

/** `npm run fuzz` has 1,000,000 each. */
const COUNT = 2_000;
const seed = Math.floor(Math.random() * 2 ** 32);

test.each(FUZZ_TARGETS)(`$name bears ${COUNT} inputs of the seed ${seed}`, (target) => {
  fuzz(target, { seed, count: COUNT });
});

test("a decoder that throws is told, with the seed and the input", () => {
  const broken = {
    name: "broken",
    seeds: [Uint8Array.of(1)],
    decode: () => {
      throw new RangeError("out of range");
    },
  };
  expect(() => fuzz(broken, { seed: 7, count: 1 })).toThrow(/^broken, seed 7, input 0: /);
});
