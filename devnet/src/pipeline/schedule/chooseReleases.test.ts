import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { TaskKind } from "../plan/planTasks.ts";
import { chooseReleases, type RunLoad } from "./chooseReleases.ts";

const run = (runId: string, change: Partial<RunLoad> & { proves?: number } = {}): RunLoad => ({
  runId,
  user: runId[0]!,
  priority: 0,
  maxInFlight: 0,
  createdAt: 0,
  inFlight: 0,
  ready: new Map([["prove", change.proves ?? 100]]),
  ...change,
});
const choose = (runs: RunLoad[], places: number) =>
  chooseReleases(runs, new Map<TaskKind, number>([["prove", places]])).map(
    ({ runId, count }) => `${runId} ${count}`,
  );

describe("chooseReleases", () => {
  it("shares between users, not between runs", () => {
    expect(choose([run("a1"), run("a2"), run("b1")], 8)).toEqual(["a1 2", "b1 4", "a2 2"]);
  });

  it("counts what a user has in flight already", () => {
    expect(choose([run("a1", { inFlight: 6 }), run("b1")], 4)).toEqual(["b1 4"]);
  });

  it("lets a higher priority go first, up to its cap", () => {
    expect(choose([run("a1"), run("b1", { priority: 5, maxInFlight: 2 })], 5)).toEqual(["b1 2", "a1 3"]);
  });

  it("takes the older of equals", () => {
    expect(choose([run("a1", { createdAt: 2 }), run("b1", { createdAt: 1 })], 1)).toEqual(["b1 1"]);
  });

  it("releases as many as there are and fit, and never above a cap", () => {
    const loads = fc.array(
      fc.record({
        user: fc.constantFrom("a", "b", "c"),
        priority: fc.integer({ min: 0, max: 2 }),
        maxInFlight: fc.integer({ min: 0, max: 4 }),
        inFlight: fc.integer({ min: 0, max: 6 }),
        proves: fc.integer({ min: 0, max: 9 }),
      }),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(loads, fc.integer({ min: 0, max: 30 }), (given, places) => {
        const runs = given.map((load, index) => run(`${load.user}${index}`, load));
        const releases = chooseReleases(runs, new Map([["prove", places]]));
        const startable = runs.map((one) =>
          Math.min(
            one.ready.get("prove")!,
            one.maxInFlight === 0 ? Number.POSITIVE_INFINITY : Math.max(0, one.maxInFlight - one.inFlight),
          ),
        );
        const total = startable.reduce((sum, count) => sum + count, 0);
        expect(releases.reduce((sum, { count }) => sum + count, 0)).toBe(Math.min(places, total));
        for (const { runId, count } of releases) {
          expect(count).toBeLessThanOrEqual(startable[runs.findIndex((one) => one.runId === runId)]!);
        }
      }),
    );
  });
});
