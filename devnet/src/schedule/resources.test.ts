import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  addResources,
  admit,
  type Capacity,
  fitsNow,
  MAX_OVERTAKEN_MS,
  NO_RESOURCES,
  neverFits,
  type Waiting,
} from "./resources.ts";

const capacity: Capacity = { memMib: 4_096, cpus: 2, gpus: 1, cpuFactor: 2 };
const wants = (memMib: number, cpus = 1, gpus = 0) => ({ memMib, cpus, gpus });
const waiting = (id: string, wanted: Waiting["wanted"], waitedMs = 0): Waiting => ({ id, wanted, waitedMs });

describe("neverFits", () => {
  test.each([
    [wants(4_097), "it asks for 4097 MiB of memory, this node has 4096"],
    [wants(1, 5), "it asks for 5 CPUs, this node gives 4 (2, counted 2 times)"],
    [wants(1, 1, 2), "it asks for 2 GPUs, this node has 1"],
    [wants(0), "it asks for no memory or no CPU"],
    [wants(1, 0), "it asks for no memory or no CPU"],
    [wants(4_096, 4, 1), null],
  ])("%o: %s", (wanted, reason) => {
    expect(neverFits(capacity, wanted)).toBe(reason);
  });
});

describe("admit", () => {
  test("starts what fits and says what the others wait for", () => {
    const { start, wait } = admit(capacity, wants(1_024), [
      waiting("a", wants(2_048)),
      waiting("b", wants(2_048)),
    ]);
    expect(start).toEqual(["a"]);
    expect(wait.get("b")).toBe("waits for 2048 MiB of memory, 1024 free");
  });

  test("a small task overtakes a large one, for a while", () => {
    const queue = (waitedMs: number) => [
      waiting("large", wants(4_096), waitedMs),
      waiting("small", wants(512)),
    ];
    expect(admit(capacity, wants(1_024), queue(0)).start).toEqual(["small"]);
    const later = admit(capacity, wants(1_024), queue(MAX_OVERTAKEN_MS + 1));
    expect(later.start).toEqual([]);
    expect(later.wait.get("small")).toBe("waits for task large, which is larger and came first");
  });

  test("nobody waits for a large one that lacks what he doesn't need", () => {
    const queue = [
      waiting("gpu", wants(1_024, 1, 1), MAX_OVERTAKEN_MS + 1),
      waiting("cpu", wants(1_024)),
      waiting("other gpu", wants(1, 1, 1)),
    ];
    const { start, wait } = admit(capacity, wants(512, 1, 1), queue);
    expect(start).toEqual(["cpu"]);
    expect(wait.get("gpu")).toBe("waits for 1 GPUs, 0 free");
    expect(wait.get("other gpu")).toBe("waits for task gpu, which is larger and came first");
  });

  test("never gives away more than there is, and forgets nobody", () => {
    const amount = fc.record({
      memMib: fc.integer({ min: 1, max: 5_000 }),
      cpus: fc.integer({ min: 1, max: 5 }),
      gpus: fc.integer({ min: 0, max: 2 }),
    });
    const queue = fc.array(fc.tuple(amount, fc.integer({ min: 0, max: 100_000 })), { maxLength: 30 });
    fc.assert(
      fc.property(queue, (entries) => {
        const tasks = entries.map(([wanted, waitedMs], index) => waiting(String(index), wanted, waitedMs));
        const { start, wait } = admit(capacity, NO_RESOURCES, tasks);
        const taken = tasks
          .filter(({ id }) => start.includes(id))
          .reduce((sum, { wanted }) => addResources(sum, wanted), NO_RESOURCES);
        expect(fitsNow(capacity, taken, NO_RESOURCES)).toBeNull();
        expect([...start, ...wait.keys()].sort()).toEqual(tasks.map(({ id }) => id).sort());
      }),
    );
  });
});
