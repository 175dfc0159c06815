import { expect, test } from "vitest";
import { createVolumeTurns } from "../vm/volumes/volumeTurns.ts";
import { addResources, NO_RESOURCES } from "./resources.ts";
import { startWithTurns } from "./startWithTurns.ts";

const capacity = { memMib: 4_096, cpus: 4, gpus: 1, cpuFactor: 1 };

function newTask(id: string, { gpus = 0, isReader = false } = {}) {
  return { id, wanted: { memMib: 1, cpus: 1, gpus }, waitedMs: 0, isReader };
}

function newNode() {
  const turns = createVolumeTurns({ holders: async () => [] });
  const running = new Map<string, { wanted: typeof NO_RESOURCES; end: () => void }>();
  return {
    running: () => [...running.keys()],
    end(id: string) {
      running.get(id)?.end();
      running.delete(id);
    },
    round: (tasks: readonly ReturnType<typeof newTask>[]) =>
      startWithTurns(
        tasks.filter(({ id }) => !running.has(id)),
        {
          capacity,
          used: () =>
            [...running.values()].reduce((sum, { wanted }) => addResources(sum, wanted), NO_RESOURCES),
          takeTurn: ({ id, isReader }) =>
            id === "other"
              ? Promise.resolve(() => {})
              : turns.take([{ label: "params", path: "/params", readonly: isReader }], id),
          async start({ id, wanted }, end) {
            running.set(id, { wanted, end });
            return null;
          },
        },
      ),
  };
}

test("a writer that waits for a GPU keeps no reader waiting, and comes before later readers once it can write", async () => {
  const { round, running, end } = newNode();
  await round([newTask("other", { gpus: 1 })]);
  const writers = [newTask("writer", { gpus: 1 }), newTask("writer 2", { gpus: 1 })];
  const readers = [newTask("reader", { isReader: true }), newTask("reader 2", { isReader: true })];
  const waits = await round([...writers, ...readers]);
  expect(running()).toEqual(["other", "reader", "reader 2"]);
  const reason = "waits for 1 GPUs, 0 free";
  expect(Object.fromEntries(waits)).toEqual({ writer: reason, "writer 2": reason });
  end("other");
  const later = newTask("later", { isReader: true });
  expect([...(await round([...writers, later])).values()]).toEqual([
    "waits for the volume params: another task has it",
    "waits for the volume params: another task has it",
    "waits for the volume params: a task that came first waits to write to it",
  ]);
  end("reader");
  end("reader 2");
  await round([...writers, later]);
  expect(running()).toEqual(["writer"]);
});
