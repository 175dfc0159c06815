import { describe, expect, it } from "vitest";
import { createNodeWork } from "./nodeWork.ts";

function setUp(slots = 1, room = 1) {
  let now = 0;
  const work = createNodeWork({ now: () => now }, { slots, room });
  return {
    work,
    pass: (ms: number) => {
      now += ms;
    },
  };
}

describe("createNodeWork", () => {
  it("counts a task's time from when it has a slot", () => {
    const { work, pass } = setUp();
    work.add("a", "prove");
    work.add("b", "prove");
    pass(100);
    expect(work.remove("a", true)).toBe(100);
    pass(40);
    expect(work.remove("b", true)).toBe(40);
    expect(work.count).toBe(0);
  });

  it("knows that a task never ran", () => {
    const { work } = setUp();
    work.add("a", "prove");
    work.add("b", "prove");
    expect(work.remove("b", false)).toBeNull();
    expect(work.remove("unknown", true)).toBeNull();
  });

  it("lets tasks wait only where their kind is known to be short", () => {
    const { work, pass } = setUp(1, 1);
    expect(work.ahead("prove")).toBe(0);
    work.add("a", "prove");
    pass(1_000);
    work.remove("a", true);
    expect(work.ahead("prove")).toBe(1);
    expect(work.ahead("agg")).toBe(0);
    for (const id of ["b", "c"]) {
      work.add(id, "prove");
      pass(60_000);
      work.remove(id, true);
    }
    expect(work.ahead("prove")).toBe(0);
  });

  it("learns nothing from what failed, and keeps nothing waiting where the node has no room for it", () => {
    const { work, pass } = setUp(2, 0);
    work.add("a", "prove");
    pass(10);
    work.remove("a", false);
    work.add("b", "prove");
    pass(10);
    work.remove("b", true);
    expect(work.ahead("prove")).toBe(0);
  });
});
