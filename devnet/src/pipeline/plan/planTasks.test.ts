import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { WHOLE_RUN } from "../../../../test/fixtures/pipeline/wholeRun.ts";
import { addedTasks, type PlannedTask, planTasks, type RunShape, resultKey } from "./planTasks.ts";

const line = (task: PlannedTask) =>
  task.needs.length > 0 ? `${task.key} < ${task.needs.join(" ")}` : task.key;
const lines = (shape: Partial<RunShape>, known: number, total: number | null) =>
  planTasks({ ...WHOLE_RUN, ...shape }, { known, total }).map(line);

describe("planTasks", () => {
  it("begins with the split, and proves segments while it runs", () => {
    expect(lines({}, 0, null)).toEqual(["split"]);
    expect(lines({}, 2, null)).toEqual(["split", "prove/0", "prove/1"]);
    expect(lines({}, 3, null)).toEqual([
      "split",
      "prove/0",
      "prove/1",
      "prove/2",
      "agg/1/0 < prove/0 prove/1",
    ]);
  });

  it("zkm: pairs, the odd one carried up, then the wrap and the check", () => {
    expect(lines({ verifies: true }, 3, 3)).toEqual([
      ...["split", "prove/0", "prove/1", "prove/2"],
      "agg/1/0 < prove/0 prove/1",
      "agg/2/0 < agg/1/0 prove/2",
      "snark < agg/2/0",
      "verify < snark",
    ]);
    expect(lines({}, 1, 1)).toEqual(["split", "prove/0", "snark < prove/0"]);
  });

  it("zkm2: a leaf a segment and a deferred proof", () => {
    const tasks = planTasks({ ...WHOLE_RUN, version: "zkm2", deferredProofs: 1 }, { known: 2, total: 2 });
    expect(tasks.map(line)).toEqual([
      ...["split", "prove/0", "prove/1"],
      ...["leaf/0 < prove/0", "leaf/1 < prove/1", "leaf/2"],
      "agg/1/0 < leaf/0 leaf/1",
      "agg/2/0 < agg/1/0 leaf/2",
      "snark < agg/2/0",
    ]);
    expect(tasks.filter((task) => task.flags?.isFirstShard).map((task) => task.key)).toEqual(["leaf/0"]);
    expect(tasks.filter((task) => task.flags?.isDeferred).map((task) => task.key)).toEqual(["leaf/2"]);
    expect(tasks.filter((task) => task.flags?.isFinal).map((task) => task.key)).toEqual(["agg/2/0"]);
  });

  it("zkm2: leaves wait for the key, which the split leaves at its end", () => {
    expect(lines({ version: "zkm2" }, 3, null)).toEqual(["split", "prove/0", "prove/1", "prove/2"]);
  });

  it("zkm2: a lone leaf is the final one", () => {
    const [leaf] = planTasks({ ...WHOLE_RUN, version: "zkm2" }, { known: 1, total: 1 }).filter(
      (task) => task.flags,
    );
    expect(leaf).toMatchObject({ key: "leaf/0", flags: { isFinal: true, isLeafLayer: true } });
  });

  it("ends where the request says", () => {
    expect(lines({ target: "split" }, 2, 2)).toEqual(["split"]);
    expect(lines({ target: "prove" }, 2, 2)).toEqual(["split", "prove/0", "prove/1"]);
    expect(lines({ target: "agg" }, 2, 2).at(-1)).toBe("agg/1/0 < prove/0 prove/1");
    expect(lines({ fromAgg: true }, 0, null)).toEqual(["snark"]);
    expect(lines({ singleNode: true, verifies: true }, 0, null)).toEqual(["single", "verify < single"]);
  });

  it("adds what new segments bring at no greater cost, however many there are", () => {
    const before = { known: 4_000_000_000_000, total: null };
    const added = addedTasks(WHOLE_RUN, before, { known: before.known + 1, total: null });
    expect(added.map(line)).toEqual(["prove/4000000000000"]);
  });

  it("knows what a run is for", () => {
    const of = (shape: Partial<RunShape>, total: number) =>
      resultKey({ ...WHOLE_RUN, ...shape }, { known: total, total });
    expect(of({}, 3)).toBe("snark");
    expect(of({ target: "agg" }, 3)).toBe("agg/2/0");
    expect(of({ target: "agg" }, 1)).toBe("prove/0");
    expect(of({ target: "agg", version: "zkm2" }, 1)).toBe("leaf/0");
    expect(of({ target: "prove" }, 3)).toBe("prove/0");
    expect(of({ target: "split" }, 0)).toBeNull();
    expect(of({ singleNode: true }, 0)).toBe("single");
  });

  it("only grows, and every task's inputs are in it", () => {
    const shapes = fc.record({
      version: fc.constantFrom("zkm" as const, "zkm2" as const),
      target: fc.constantFrom("prove" as const, "agg" as const, "snark" as const),
      fromAgg: fc.constant(false),
      singleNode: fc.constant(false),
      deferredProofs: fc.integer({ min: 0, max: 3 }),
      verifies: fc.boolean(),
    });
    fc.assert(
      fc.property(shapes, fc.integer({ min: 1, max: 60 }), fc.nat(), (shape, total, seed) => {
        const text = (task: PlannedTask) => JSON.stringify(task);
        const early = planTasks(shape, { known: (seed % total) + 1, total: null });
        const end = planTasks(shape, { known: total, total });
        const all = new Set(end.map(text));
        expect(early.filter((task) => !all.has(text(task)))).toEqual([]);
        const between = { known: (seed % total) + 1, total: null };
        const grown = { known: total, total: null };
        const seen = [
          ...planTasks(shape, { known: 0, total: null }),
          ...addedTasks(shape, { known: 0, total: null }, between),
          ...addedTasks(shape, between, grown),
        ].map(text);
        expect(new Set(seen).size).toBe(seen.length);
        expect(new Set(seen)).toEqual(new Set(planTasks(shape, grown).map(text)));
        const last = addedTasks(shape, grown, { known: total, total }).map(text);
        expect(new Set([...seen, ...last])).toEqual(all);
        const keys = new Set(end.map((task) => task.key));
        expect(keys.size).toBe(end.length);
        expect(end.flatMap((task) => task.needs).filter((key) => !keys.has(key))).toEqual([]);
      }),
    );
  });
});
