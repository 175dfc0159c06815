import { describe, expect, test } from "vitest";
import { createTurns } from "./turns.ts";

function gate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open: () => open(), opened };
}
const settle = () => new Promise((resolve) => setImmediate(resolve));

describe("turns", () => {
  test("a host that hangs leaves room for others", async () => {
    const turns = createTurns({ maxAtOnce: 4, maxAtOnceOfKey: 2 });
    const hang = gate();
    const hanging = [1, 2, 3, 4, 5].map(() => turns.take("slow", undefined, () => hang.opened));
    const done: number[] = [];
    await Promise.all([1, 2, 3].map((each) => turns.take("fast", undefined, async () => done.push(each))));
    expect(done).toEqual([1, 2, 3]);
    hang.open();
    await Promise.all(hanging);
  });

  test("never more at once than may be, of one and of all, and all get their turn", async () => {
    const turns = createTurns({ maxAtOnce: 3, maxAtOnceOfKey: 2 });
    const now = new Map<string, number>();
    let [all, most, mostOfOne, done] = [0, 0, 0, 0];
    const work = (key: string) => async () => {
      now.set(key, (now.get(key) ?? 0) + 1);
      most = Math.max(most, ++all);
      mostOfOne = Math.max(mostOfOne, now.get(key)!);
      await settle();
      now.set(key, now.get(key)! - 1);
      all--;
      done++;
      if (done % 5 === 0) throw new Error("also what fails gives its place back");
    };
    await Promise.allSettled(
      Array.from({ length: 40 }, (_, at) => turns.take("aab"[at % 3]!, undefined, work("aab"[at % 3]!))),
    );
    expect([most, mostOfOne, done]).toEqual([3, 2, 40]);
  });

  test("who waits can leave, and takes no place", async () => {
    const turns = createTurns({ maxAtOnce: 1, maxAtOnceOfKey: 1 });
    const hang = gate();
    const first = turns.take("a", undefined, () => hang.opened);
    const stop = new AbortController();
    const second = turns.take("a", stop.signal, async () => "never");
    const third = turns.take("a", undefined, async () => "third");
    stop.abort(new Error("left"));
    await expect(second).rejects.toThrow("left");
    hang.open();
    await first;
    expect(await third).toBe("third");
  });
});
