import { describe, expect, it } from "vitest";
import { estimateRest, type TaskTiming } from "./estimate.ts";

const task = (kind: string, state: TaskTiming["state"], seconds: number | null = null): TaskTiming => ({
  kind,
  state,
  seconds,
});
const SLOTS = new Map([
  ["prove", 2],
  ["agg", 1],
]);
const NOTHING = new Map<string, number>();

describe("estimateRest", () => {
  it("is the mean of what is done, times what is left, over the slots", () => {
    const tasks = [
      task("prove", "done", 10),
      task("prove", "done", 20),
      task("prove", "ready"),
      task("prove", "waiting"),
    ];
    expect(estimateRest(tasks, SLOTS, NOTHING)).toEqual({ seconds: 15, isWhole: true });
    const more = [...tasks, task("prove", "ready")];
    expect(estimateRest(more, SLOTS, new Map([["prove", 99]]))).toEqual({ seconds: 22.5, isWhole: true });
  });

  it("counts what a running task has behind it, but not more than the mean", () => {
    const seconds = (ran: number) =>
      estimateRest([task("agg", "done", 10), task("agg", "running", ran)], SLOTS, NOTHING).seconds;
    expect([seconds(4), seconds(40)]).toEqual([6, 0]);
  });

  it("takes the usual time of a kind of which none is done, and leaves out what nothing is known of", () => {
    const tasks = [task("prove", "ready"), task("agg", "waiting"), task("snark", "waiting")];
    expect(estimateRest(tasks, SLOTS, NOTHING)).toEqual({ seconds: null, isWhole: false });
    expect(estimateRest(tasks, SLOTS, new Map([["prove", 4]]))).toEqual({ seconds: 4, isWhole: false });
    const usual = new Map(["prove", "agg", "snark"].map((kind) => [kind, 4]));
    // Nobody can wrap.
    expect(estimateRest(tasks, SLOTS, usual)).toEqual({ seconds: 8, isWhole: false });
    expect(estimateRest(tasks, new Map([...SLOTS, ["snark", 1]]), usual)).toEqual({
      seconds: 12,
      isWhole: true,
    });
  });

  it("is the least while the split goes on, and nothing in the end", () => {
    const splitting = [task("split", "running", 1), task("prove", "done", 3), task("prove", "ready")];
    expect(estimateRest(splitting, SLOTS, NOTHING)).toEqual({ seconds: 3, isWhole: false });
    expect(estimateRest([task("prove", "done", 3)], SLOTS, NOTHING)).toEqual({ seconds: 0, isWhole: true });
  });
});
