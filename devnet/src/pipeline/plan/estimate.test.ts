import { describe, expect, it } from "vitest";
import { estimateSeconds, type TaskTiming } from "./estimate.ts";

const task = (kind: string, state: TaskTiming["state"], seconds: number | null = null): TaskTiming => ({
  kind,
  state,
  seconds,
});
const SLOTS = new Map([
  ["prove", 2],
  ["agg", 1],
]);

describe("estimateSeconds", () => {
  it("is the mean of what is done, times what is left, over the slots", () => {
    const tasks = [
      task("prove", "done", 10),
      task("prove", "done", 20),
      task("prove", "ready"),
      task("prove", "waiting"),
    ];
    expect(estimateSeconds(tasks, SLOTS)).toBe(15);
    expect(estimateSeconds([...tasks, task("prove", "ready")], SLOTS)).toBe(22.5);
  });

  it("counts what a running task has behind it, but not more than the mean", () => {
    expect(estimateSeconds([task("agg", "done", 10), task("agg", "running", 4)], SLOTS)).toBe(6);
    expect(estimateSeconds([task("agg", "done", 10), task("agg", "running", 40)], SLOTS)).toBe(0);
  });

  it("does not guess", () => {
    expect(estimateSeconds([task("prove", "ready")], SLOTS)).toBeNull();
    expect(estimateSeconds([task("snark", "done", 1), task("snark", "ready")], SLOTS)).toBeNull();
    expect(estimateSeconds([task("prove", "done", 3)], SLOTS)).toBe(0);
  });
});
