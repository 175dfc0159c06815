import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createStack } from "../../disposeStack.ts";
import type { VmTask } from "../provider.ts";
import { takeVolumes } from "./taskVolumes.ts";
import { createVolumeStore, type VolumeStore } from "./volumeStore.ts";

let folder = "";
let store: VolumeStore;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "gevulot-task-volumes-"));
  store = createVolumeStore({ folder });
  await store.create({ name: "a", sizeBytes: 4 * 2 ** 20 });
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const mount = (label: string, path: string, isReadonly = true) => ({ label, path, readonly: isReadonly });
const signal = new AbortController().signal;
const options = { volumeWaitMs: 0, format: "linux", signal, onWait: () => {} } as const;
const task = { attemptId: "1", volumes: [mount("a", "/params")] } as unknown as VmTask;

test("a task's volume comes instead of one that the image names and the node has not", async () => {
  await using stack = createStack();
  const mounts = [mount("none", "/params")];
  expect(await takeVolumes(stack, task, { ...options, store, mounts })).toMatchObject({
    cmdline: " gv.volumes=/params:ro",
    disks: [{ readonly: true }],
  });
});

test.each([
  [
    "that Nanos would not mount",
    task,
    "nanos",
    /^The volumes can't be mounted: a Nanos guest .* a:\/params:ro/,
  ],
  [
    "that is only to be read",
    { ...task, volumes: [mount("a", "/x", false)] },
    "linux",
    /^The volume a is only to be read by tasks/,
  ],
  ["that is not there", { ...task, volumes: [mount("b", "/x")] }, "linux", /^There is no volume b/],
] as const)("a volume %s", async (_, wanted, format, reason) => {
  await using stack = createStack();
  const outcome = await takeVolumes(stack, wanted, { ...options, format, store, mounts: [] });
  expect(outcome).toEqual({ kind: "unavailable", reason: expect.stringMatching(reason) });
});
