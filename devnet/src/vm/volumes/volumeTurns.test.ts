import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { VolumeMount } from "../../image/manifestMounts.ts";
import { createVolumeStore, type VolumeStore } from "./volumeStore.ts";
import { createVolumeTurns } from "./volumeTurns.ts";

let folder = "";
let store: VolumeStore;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "gevulot-turns-"));
  store = createVolumeStore({ folder });
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const mount = (label: string, isReadonly = false) => ({ label, path: `/${label}`, readonly: isReadonly });

/** Each asks for the first time, unless it is said who. */
function newTurns(now?: () => number) {
  const turns = createVolumeTurns(store, now);
  let asks = 0;
  return { take: (mounts: readonly VolumeMount[], who = `task ${asks++}`) => turns.take(mounts, who) };
}

test("one writes or many read, and turns come back", async () => {
  const { take } = newTurns();
  const writer = await take([mount("a")]);
  expect(writer).toBeTypeOf("function");
  expect(await take([mount("b", true), mount("a", true)])).toBe(
    "waits for the volume a: another task has it",
  );
  // What was refused holds nothing.
  const other = await take([mount("b")]);
  expect(other).toBeTypeOf("function");
  (writer as () => void)();
  const readers = await Promise.all([take([mount("a", true)]), take([mount("a", true)])]);
  expect(readers.map((one) => typeof one)).toEqual(["function", "function"]);
  expect(await take([mount("a")])).toBe("waits for the volume a: another task has it");
  expect(await take([])).toBeTypeOf("function");
});

test("of many at the same moment one writes; who else has the volume is told", async () => {
  const { take } = newTurns();
  const all = await Promise.all(Array.from({ length: 10 }, () => take([mount("a")])));
  expect(all.filter((one) => typeof one === "function")).toHaveLength(1);
  await store.create({ name: "b", sizeBytes: 4 * 2 ** 20 });
  await using held = await store.hold("b", { readonly: true, what: "vm run" });
  expect(held.format).toBe("linux");
  expect(await take([mount("b", true)])).toBeTypeOf("function");
  expect(await take([mount("b")])).toBe(`waits for the volume b: vm run (process ${process.pid}) reads it`);
});

test("readers that come and go don't keep a writer waiting, nor writers a reader that came first", async () => {
  let ms = 0;
  const { take } = newTurns(() => ms);
  const [read, write] = [[mount("a", true)], [mount("a")]];
  const first = await take(read);
  expect(await take(write, "writer")).toBe("waits for the volume a: another task has it");
  const later = "waits for the volume a: a task that came first waits to write to it";
  expect(await take(read, "later")).toBe(later);
  (first as () => void)();
  expect(await take(read, "later")).toBe(later);
  const writer = await take(write, "writer");
  expect(writer).toBeTypeOf("function");
  expect(await take(write, "last")).toBe("waits for the volume a: another task has it");
  (writer as () => void)();
  const reader = await take(read, "later");
  expect(reader).toBeTypeOf("function");
  // One that does not ask again, as its Run was cancelled.
  expect(await take(write, "last")).toBe("waits for the volume a: another task has it");
  expect(await take(read)).toBe(later);
  ms = 60_000;
  expect(await take(read)).toBeTypeOf("function");
});
