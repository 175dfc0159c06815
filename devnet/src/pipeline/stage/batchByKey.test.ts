import { describe, expect, it } from "vitest";
import { createBatches } from "./batchByKey.ts";

function setUp() {
  const begun: string[] = [];
  const ends: (() => void)[] = [];
  const add = createBatches<string>(async (key, items) => {
    begun.push(`${key}: ${items.join(" ")}`);
    await new Promise<void>((resolve) => ends.push(resolve));
    if (items.includes("bad")) throw new Error("no");
  });
  const tick = () => new Promise((resolve) => setImmediate(resolve));
  return { begun, ends, add, tick };
}

describe("createBatches", () => {
  it("puts together what comes while one is done, for each key apart", async () => {
    const { begun, ends, add, tick } = setUp();
    const all = [add("x", "1")];
    await tick();
    all.push(add("x", "2"), add("y", "3"), add("x", "4"));
    await tick();
    expect(begun).toEqual(["x: 1", "y: 3"]);
    ends[0]!();
    await tick();
    expect(begun).toEqual(["x: 1", "y: 3", "x: 2 4"]);
    for (const end of ends) end();
    await Promise.all(all);
  });

  it("tells everybody of a batch that it failed, and goes on with the next", async () => {
    const { ends, add, tick } = setUp();
    const first = add("x", "bad").catch((error: Error) => error.message);
    await tick();
    const second = add("x", "2");
    ends[0]!();
    expect(await first).toBe("no");
    await tick();
    ends[1]!();
    await second;
  });
});
