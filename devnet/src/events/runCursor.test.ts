import fc from "fast-check";
import { expect, test } from "vitest";
import { createRunCursor } from "./runCursor.ts";
import type { RunEvent, RunEvents } from "./runEvents.ts";

/** A task's events, of those that it may have, as far as it has come. */
const EVENTS_OF_TASK = [4, 5, 6];
const runOf = (done: readonly number[]): RunEvents => {
  const ids = [
    1,
    ...done.flatMap((count, task) => EVENTS_OF_TASK.slice(0, count).map((id) => 1_000 * (task + 1) + id)),
  ];
  const events = ids.map((id) => ({ id, name: "scheduled", data: { run: "", at: "" } }) as RunEvent);
  const open = done.flatMap((count, task) => (count < EVENTS_OF_TASK.length ? [task + 1] : []));
  return { events, open: new Set(open), ended: open.length === 0 };
};

test("tasks one after the other: the id is the last event's", () => {
  const cursor = createRunCursor(undefined);
  const texts = runOf([3, 2]).events.map(({ id }) => cursor.tell(id, runOf([3, 2])));
  expect(texts).toEqual(["1", "1004", "1005", "1006", "2004", "2005"]);
});

test("of tasks side by side each is told of", () => {
  const cursor = createRunCursor(undefined);
  const now = runOf([1, 0, 2]);
  expect(now.events.map(({ id }) => cursor.tell(id, now))).toEqual([
    "1",
    "1004",
    "3004,1004,2000",
    "3005,1004,2000",
  ]);
  const resumed = createRunCursor("3005,1004,2000");
  const later = runOf([3, 1, 3]).events.map(({ id }) => id);
  expect(later.filter((id) => !resumed.knows(id))).toEqual([1_005, 1_006, 2_004, 3_006]);
});

test.each(["", "x", "1,,2", "-1", "1e3", "99999999999", `1${",1".repeat(1_001)}`])(
  "%j knows nothing",
  (text) => {
    expect(createRunCursor(text).knows(1)).toBe(false);
  },
);

test("however tasks go on and the connection is cut, each event comes once", () => {
  const step = fc.record({ task: fc.nat(4), isSeen: fc.boolean(), cutAfter: fc.nat(20) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const done = [0, 0, 0, 0, 0];
      const heard: number[] = [];
      let lastEventId: string | undefined;
      const listen = (most: number): void => {
        const now = runOf(done);
        const cursor = createRunCursor(lastEventId);
        for (const { id } of now.events.filter((event) => !cursor.knows(event.id)).slice(0, most)) {
          heard.push(id);
          lastEventId = cursor.tell(id, now);
        }
      };
      for (const { task, isSeen, cutAfter } of steps) {
        done[task] = Math.min(EVENTS_OF_TASK.length, (done[task] as number) + 1);
        if (isSeen) listen(cutAfter);
      }
      listen(Number.POSITIVE_INFINITY);
      expect([...heard].sort((a, b) => a - b)).toEqual(runOf(done).events.map(({ id }) => id));
    }),
  );
});
