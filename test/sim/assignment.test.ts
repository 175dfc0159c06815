import { describe, expect, test } from "vitest";
import { assignWork, rankNodes } from "../../devnet/src/schedule/assignment.ts";

/** What the rule costs, and how evenly it spreads the work, in a network of a thousand nodes. */
const NODES = 1_000;
const RUNS = 300;
const hex = (n: number, digits: number) => n.toString(16).padStart(digits, "0");
const nodes = (count: number) => Array.from({ length: count }, (_, i) => `04${hex(i * 7_919 + 1, 128)}`);

/** Milliseconds that one node takes to decide about a Run. */
function costOf(count: number): number {
  const keys = nodes(count);
  const facts = { delivered: new Set<string>(), failed: new Set<string>(), windowsPassed: 0 };
  const begun = performance.now();
  for (let run = 0; run < RUNS; run++) {
    assignWork({ ...facts, ranked: rankNodes(hex(run, 64), keys) }, { wanted: 3, attempts: 3 });
  }
  return (performance.now() - begun) / RUNS;
}

describe("a thousand nodes", () => {
  test("the decision costs in proportion to the nodes, and little", () => {
    costOf(100);
    const [hundred, thousand] = [costOf(100), costOf(NODES)];
    console.log(
      `a decision: ${hundred.toFixed(2)} ms among 100 nodes, ${thousand.toFixed(2)} ms among ${NODES}`,
    );
    // n log n, with room for a loaded machine; a square would be a hundred times as much.
    expect(thousand / hundred).toBeLessThan(40);
  });

  test("the work of a Run does not grow with the network, and a tenth that is gone changes little", () => {
    const keys = nodes(NODES);
    const gone = new Set(keys.filter((_, i) => i % 10 === 0));
    let moved = 0;
    const load = new Map<string, number>();
    for (let run = 0; run < RUNS; run++) {
      const ranked = rankNodes(hex(run, 64), keys);
      const facts = { delivered: new Set<string>(), failed: new Set<string>(), windowsPassed: 0 };
      const rule = { wanted: 3, attempts: 3 };
      const before = assignWork({ ...facts, ranked }, rule).active;
      const after = assignWork({ ...facts, ranked: ranked.filter((key) => !gone.has(key)) }, rule).active;
      expect(before).toHaveLength(3);
      expect(after).toHaveLength(3);
      moved += after.filter((key) => !before.includes(key)).length;
      for (const key of before) load.set(key, (load.get(key) ?? 0) + 1);
    }
    // About a tenth of the places are taken by others; everybody else keeps theirs.
    expect(moved / (3 * RUNS)).toBeLessThan(0.2);
    expect(Math.max(...load.values())).toBeLessThan(12);
  });
});
