import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createWaitingRoom } from "./waitingRoom.ts";

const about = (key: string, needs: string, sender = "a", bytes = 1) => ({ key, needs, sender, bytes });

describe("the waiting room", () => {
  test("gives back what waited for something, once, in the order of coming", () => {
    const room = createWaitingRoom<string>();
    room.add("first", about("1", "x"));
    room.add("other", about("2", "y"));
    room.add("second", about("3", "x", "b"));
    expect(room.get("3")).toBe("second");
    expect(room.take("x")).toEqual([
      { item: "first", sender: "a" },
      { item: "second", sender: "b" },
    ]);
    expect(room.take("x")).toEqual([]);
    expect(room.get("2")).toBe("other");
  });

  test("one sender gets a quarter; when all is full the oldest goes; after its time everything goes", () => {
    let now = 0;
    const room = createWaitingRoom<number>({ maxItems: 8, maxBytes: 80, maxAgeMs: 100, now: () => now });
    const add = (n: number, sender: string, bytes = 1) => room.add(n, about(`${n}`, "x", sender, bytes));
    expect([1, 2, 3].map((n) => add(n, "greedy"))).toEqual([true, true, false]);
    expect(add(4, "large", 21)).toBe(false);
    expect(add(5, "b", 20)).toBe(true);
    for (const [index, sender] of ["c", "c", "d", "d", "e"].entries()) add(10 + index, sender);
    expect(room.get("1")).toBe(1);
    add(20, "f");
    expect(room.get("1")).toBeUndefined();
    expect(room.get("2")).toBe(2);
    now = 101;
    expect(room.take("x")).toEqual([]);
    expect(add(30, "greedy")).toBe(true);
  });

  test("whatever comes, it stays within its bounds and gives a sender its room back", () => {
    const step = fc.record({
      key: fc.nat(30),
      needs: fc.nat(3),
      sender: fc.nat(4),
      bytes: fc.nat(30),
      takes: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const room = createWaitingRoom<number>({ maxItems: 8, maxBytes: 80, maxAgeMs: 100, now: () => 0 });
        const keys = Array.from({ length: 31 }, (_, key) => `${key}`);
        for (const { key, needs, sender, bytes, takes } of steps) {
          if (takes) room.take(`${needs}`);
          else room.add(bytes, about(`${key}`, `${needs}`, `${sender}`, bytes));
          const held = keys.flatMap((each) => room.get(each) ?? []);
          expect(held.length).toBeLessThanOrEqual(8);
          expect(held.reduce((sum, each) => sum + each, 0)).toBeLessThanOrEqual(80);
        }
        for (let needs = 0; needs <= 3; needs++) room.take(`${needs}`);
        expect(room.add(20, about("new", "x", "0", 20))).toBe(true);
      }),
    );
  });
});
