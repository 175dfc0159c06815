import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Aggregation, planAggregations, rootOf, type TreePlace } from "./aggregationTree.ts";

const name = (place: TreePlace) => `${place.layer}/${place.index}`;
const line = (one: Aggregation) =>
  `${name(one)} = ${one.inputs.map(name).join(" + ")}${one.isFinal ? " final" : ""}`;

/** The leaves under a place, by the plan alone. */
function leavesUnder(place: TreePlace, plan: readonly Aggregation[]): number[] {
  if (place.layer === 0) return [place.index];
  const made = plan.find((one) => name(one) === name(place));
  if (!made) throw new Error(`nothing makes ${name(place)}`);
  return made.inputs.flatMap((input) => leavesUnder(input, plan));
}

describe("planAggregations", () => {
  it("pairs neighbours and carries an odd one up", () => {
    expect(planAggregations({ known: 5, total: 5 }).map(line)).toEqual([
      "1/0 = 0/0 + 0/1",
      "1/1 = 0/2 + 0/3",
      "2/0 = 1/0 + 1/1",
      "3/0 = 2/0 + 0/4 final",
    ]);
    expect(planAggregations({ known: 2, total: 2 }).map(line)).toEqual(["1/0 = 0/0 + 0/1 final"]);
    expect(planAggregations({ known: 1, total: 1 })).toEqual([]);
    expect(planAggregations({ known: 0, total: 0 })).toEqual([]);
  });

  it("starts before the number of leaves is known, but for what may be the final one", () => {
    expect(planAggregations({ known: 2, total: null })).toEqual([]);
    expect(planAggregations({ known: 3, total: null }).map(line)).toEqual(["1/0 = 0/0 + 0/1"]);
    expect(planAggregations({ known: 4, total: null }).map(line)).toEqual([
      "1/0 = 0/0 + 0/1",
      "1/1 = 0/2 + 0/3",
    ]);
    expect(planAggregations({ known: 5, total: null }).map(line)).toContain("2/0 = 1/0 + 1/1");
  });

  it("covers every leaf once, in order, with total - 1 aggregations of which the last is final", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 400 }), (total) => {
        const plan = planAggregations({ known: total, total });
        expect(plan).toHaveLength(total - 1);
        expect(leavesUnder(rootOf(total), plan)).toEqual(Array.from({ length: total }, (_, index) => index));
        expect(plan.filter((one) => one.isFinal).map(name)).toEqual(total > 1 ? [name(rootOf(total))] : []);
      }),
    );
  });

  it("only ever adds: what is planned early is in the plan at the end, unchanged", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), fc.nat(), (total, seed) => {
        const known = (seed % total) + 1;
        const early = planAggregations({ known, total: null }).map(line);
        const end = new Set(planAggregations({ known: total, total }).map(line));
        expect(early.filter((one) => !end.has(one))).toEqual([]);
      }),
    );
  });
});
