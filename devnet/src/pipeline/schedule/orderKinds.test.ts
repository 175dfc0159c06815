import { describe, expect, it } from "vitest";
import type { TaskKind } from "../plan/planTasks.ts";
import { orderKinds, type QueueHead } from "./orderKinds.ts";

const order = (heads: Partial<Record<TaskKind, QueueHead | null>>) =>
  orderKinds(new Map(Object.entries(heads) as [TaskKind, QueueHead | null][]));

describe("orderKinds", () => {
  it("takes a higher priority first, then who waits longest", () => {
    const split = { priority: 0, since: 2_000 };
    expect(order({ prove: { priority: 0, since: 1_000 }, split })).toEqual(["prove", "split"]);
    expect(order({ prove: { priority: 0, since: 3_000 }, split })).toEqual(["split", "prove"]);
    expect(order({ prove: { priority: -1, since: 1_000 }, split })).toEqual(["split", "prove"]);
  });

  it("prefers what lets a run end, for a while", () => {
    const prove = { priority: 0, since: 1_000 };
    expect(order({ prove, agg: { priority: 0, since: 5_000 } })).toEqual(["agg", "prove"]);
    expect(order({ prove, agg: { priority: 0, since: 7_000 } })).toEqual(["prove", "agg"]);
  });

  it("leaves out what the queue has none of", () => {
    expect(order({ prove: null, agg: null })).toEqual([]);
  });
});
