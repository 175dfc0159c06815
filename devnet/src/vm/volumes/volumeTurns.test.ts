import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
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

test("one writes or many read, and turns come back", async () => {
  const { take } = createVolumeTurns(store);
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
  const { take } = createVolumeTurns(store);
  const all = await Promise.all(Array.from({ length: 10 }, () => take([mount("a")])));
  expect(all.filter((one) => typeof one === "function")).toHaveLength(1);
  await store.create({ name: "b", sizeBytes: 4 * 2 ** 20 });
  await using held = await store.hold("b", { readonly: true, what: "vm run" });
  expect(held.format).toBe("linux");
  expect(await take([mount("b", true)])).toBeTypeOf("function");
  expect(await take([mount("b")])).toBe(`waits for the volume b: vm run (process ${process.pid}) reads it`);
});
