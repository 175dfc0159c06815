import fc from "fast-check";
import { sha3_256 } from "gevulot-sdk/protocol";
import { describe, expect, test } from "vitest";
import { assignWork, rankNodes } from "./assignment.ts";

const hex = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((bytes) => Buffer.from(bytes).toString("hex"));
const run = hex(32);
const keys = fc.uniqueArray(hex(65), { maxLength: 12 });
const pick = (all: readonly string[], mask: number) => new Set(all.filter((_, i) => (mask >> i) & 1));
const work = fc.record({
  run,
  keys,
  delivered: fc.nat(4_095),
  failed: fc.nat(4_095),
  windowsPassed: fc.nat(4),
  wanted: fc.constantFrom(1, 2, 3, Number.POSITIVE_INFINITY),
  attempts: fc.constantFrom(1, 3, Number.POSITIVE_INFINITY),
});
type Work = typeof work extends fc.Arbitrary<infer T> ? T : never;
const assign = ({ run, keys, delivered, failed, windowsPassed, wanted, attempts }: Work) => {
  const ranked = rankNodes(run, keys);
  const facts = { ranked, delivered: pick(ranked, delivered), failed: pick(ranked, failed), windowsPassed };
  return { facts, ...assignWork(facts, { wanted, attempts }) };
};

describe("the ranking", () => {
  test("is by SHA3-256 of run hash and key", () => {
    fc.assert(
      fc.property(run, keys, (tx, nodes) => {
        const place = (key: string) => Buffer.from(sha3_256(Buffer.from(tx + key, "hex"))).toString("hex");
        expect(rankNodes(tx, nodes)).toEqual([...nodes].sort((a, b) => (place(a) < place(b) ? -1 : 1)));
      }),
    );
  });

  test("is the same whatever the order, and a node that goes changes nothing among the others", () => {
    fc.assert(
      fc.property(run, keys, fc.nat(), (tx, nodes, n) => {
        const ranked = rankNodes(tx, nodes);
        expect(rankNodes(tx, [...nodes].reverse())).toEqual(ranked);
        const gone = nodes[n % Math.max(1, nodes.length)];
        const left = (all: readonly string[]) => all.filter((key) => key !== gone);
        expect(rankNodes(tx, left(nodes))).toEqual(left(ranked));
      }),
    );
  });

  test("gives each node its share", () => {
    const nodes = Array.from({ length: 5 }, (_, i) => `04${i.toString(16).padStart(128, "0")}`);
    const first = new Map<string, number>();
    for (let i = 0; i < 2_000; i++) {
      const [node] = rankNodes(i.toString(16).padStart(64, "0"), nodes) as [string];
      first.set(node, (first.get(node) ?? 0) + 1);
    }
    for (const node of nodes) expect(Math.abs((first.get(node) ?? 0) - 400)).toBeLessThan(100);
  });
});

describe("whose turn it is", () => {
  test("never a node that delivered, failed or is gone; never more than wanted; never more tries than allowed", () => {
    fc.assert(
      fc.property(work, (input) => {
        const { facts, active } = assign(input);
        for (const node of active) {
          expect(facts.ranked).toContain(node);
          expect(facts.delivered.has(node) || facts.failed.has(node)).toBe(false);
        }
        expect(active.length).toBeLessThanOrEqual(Math.max(0, input.wanted - facts.delivered.size));
        const tried = new Set([...facts.delivered, ...facts.failed, ...active]).size;
        const allowed = input.wanted + input.attempts - 1;
        expect(tried).toBeLessThanOrEqual(Math.max(allowed, facts.delivered.size + facts.failed.size));
      }),
    );
  });

  test("the work is exhausted exactly when nothing is there and nobody is to make it", () => {
    fc.assert(
      fc.property(work, (input) => {
        const { facts, active, exhausted } = assign(input);
        expect(exhausted).toBe(facts.delivered.size === 0 && active.length === 0);
      }),
    );
  });

  test("a failure brings in the next rank and leaves the others at work", () => {
    fc.assert(
      fc.property(work, (input) => {
        const before = assign({ ...input, windowsPassed: 0 });
        const [gone, ...others] = before.active;
        if (gone === undefined) return;
        const failed = new Set([...before.facts.failed, gone]);
        const after = assignWork({ ...before.facts, failed }, input);
        expect(after.active.slice(0, others.length)).toEqual(others);
        expect(after.active.length).toBeLessThanOrEqual(before.active.length);
      }),
    );
  });

  const four = ["a", "b", "c", "d"];
  const turn = (more: object, rule = { wanted: 1, attempts: 3 }) =>
    assignWork({ ranked: four, delivered: new Set(), failed: new Set(), windowsPassed: 0, ...more }, rule);
  test.each<[string, object, object | undefined, string[], boolean]>([
    ["one prover", {}, undefined, ["a"], false],
    ["the first failed", { failed: new Set("a") }, undefined, ["b"], false],
    ["two failed", { failed: new Set("ab") }, undefined, ["c"], false],
    ["three failed: the attempts are used up", { failed: new Set("abc") }, undefined, [], true],
    ["the first is late", { windowsPassed: 1 }, undefined, ["b"], false],
    ["three are late", { windowsPassed: 3 }, undefined, [], true],
    ["a late result ends it", { windowsPassed: 2, delivered: new Set("a") }, undefined, [], false],
    ["the result of one that is gone counts", { delivered: new Set("x") }, undefined, [], false],
    ["one that is gone and failed was a try", { failed: new Set("xyz") }, undefined, [], true],
    ["three verifiers", {}, { wanted: 3, attempts: 3 }, ["a", "b", "c"], false],
    ["one of them done", { delivered: new Set("b") }, { wanted: 3, attempts: 3 }, ["a", "c"], false],
    ["all that there are", { ranked: ["a", "b"] }, { wanted: 3, attempts: 3 }, ["a", "b"], false],
    ["all", {}, { wanted: Number.POSITIVE_INFINITY, attempts: Number.POSITIVE_INFINITY }, four, false],
    ["nobody is there", { ranked: [] }, undefined, [], true],
  ])("%s", (_, facts, rule, active, exhausted) => {
    expect(turn(facts, rule as { wanted: number; attempts: number } | undefined)).toEqual({
      active,
      exhausted,
    });
  });
});
