import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createStack } from "../../disposeStack.ts";
import { holdGuestVolumes } from "./guestVolumes.ts";
import { createVolumeStore, type VolumeStore } from "./volumeStore.ts";

let folder = "";
let store: VolumeStore;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "gevulot-guest-volumes-"));
  store = createVolumeStore({ folder });
  for (const name of ["a", "b"]) await store.create({ name, sizeBytes: 4 * 2 ** 20 });
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const mount = (label: string, path: string, isReadonly = false) => ({ label, path, readonly: isReadonly });
const signal = new AbortController().signal;
const options = { what: "task 1", waitMs: 0, signal };

test("disks come in the order of their mounts, and are free again with the stack", async () => {
  const stack = createStack();
  const mounts = [mount("b", "/tmp"), mount("a", "/params", true)];
  const { disks, cmdline } = await holdGuestVolumes(stack, store, mounts, options);
  expect(cmdline).toBe(" gv.volumes=/tmp,/params:ro");
  expect(disks.map(({ readonly, sizeBytes }) => [readonly, sizeBytes])).toEqual([
    [false, 4 * 2 ** 20],
    [true, 4 * 2 ** 20],
  ]);
  expect((await store.list()).map(({ holders }) => holders[0]?.access)).toEqual(["read", "write"]);
  await stack[Symbol.asyncDispose]();
  expect((await store.list()).flatMap(({ holders }) => holders)).toEqual([]);
});

test("without volumes nothing is said to the kernel", async () => {
  expect(await holdGuestVolumes(createStack(), store, [], options)).toEqual({ disks: [], cmdline: "" });
});

test("one in use is waited for, and the wait is told once; or it is refused, or the wait ends", async () => {
  const writer = await store.hold("a", { readonly: false, what: "task 0" });
  const take = (more: object) =>
    holdGuestVolumes(createStack(), store, [mount("a", "/a")], { ...options, ...more });
  await expect(take({})).rejects.toMatchObject({ code: "VOLUME_IN_USE" });
  const stop = new AbortController();
  const stopped = take({ waitMs: 60_000, signal: stop.signal, onWait: () => stop.abort() });
  await expect(stopped).rejects.toMatchObject({ name: "AbortError" });
  const told: string[] = [];
  const onWait = (reason: string): void => {
    told.push(reason);
    setTimeout(() => void writer[Symbol.asyncDispose](), 400);
  };
  const stack = createStack();
  await holdGuestVolumes(stack, store, [mount("a", "/a")], { ...options, waitMs: 30_000, onWait });
  expect(told).toEqual([expect.stringContaining("task 0")]);
  await stack[Symbol.asyncDispose]();
});

test("one that an image and its task both name is taken once", async () => {
  await using stack = createStack();
  const [writable, params] = [mount("a", "/a"), mount("b", "/params", true)];
  const mounts = [writable, params, writable, params, mount("b", "/other", true)];
  const { disks, cmdline } = await holdGuestVolumes(stack, store, mounts, { ...options, waitMs: 60_000 });
  expect(cmdline).toBe(" gv.volumes=/a,/params:ro,/other:ro");
  expect(disks).toHaveLength(3);
});

test.each([
  ["to read and to write", [mount("a", "/a"), mount("a", "/a", true)]],
  ["to write at two places", [mount("a", "/a"), mount("a", "/b")]],
  ["over another", [mount("a", "/a"), mount("b", "/a", true)]],
  ["in another", [mount("a", "/a/deep"), mount("b", "/a")]],
])("a volume %s is refused at once", async (_, mounts) => {
  const held = holdGuestVolumes(createStack(), store, mounts, { ...options, waitMs: 60_000 });
  await expect(held).rejects.toMatchObject({
    code: "VOLUME_INVALID",
    message: expect.stringMatching(/the image and its task name the volume a at .* can't both be/),
  });
});

test("too many, or at paths too long", async () => {
  const many = Array.from({ length: 17 }, (_, index) => mount("a", `/m${index}`, true));
  const long = [mount("a", `/${"x".repeat(1_100)}`)];
  for (const mounts of [many, long]) {
    await expect(holdGuestVolumes(createStack(), store, mounts, options)).rejects.toMatchObject({
      code: "VOLUME_INVALID",
    });
  }
});
