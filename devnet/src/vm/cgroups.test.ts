import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createCgroups } from "./cgroups.ts";

/** Plain folders: what the kernel does with them, test/e2e/cgroups.test.ts shows. */
let mount = "";
beforeAll(async () => {
  mount = await mkdtemp(join(tmpdir(), "gevulot-cgroups-"));
});
afterAll(() => rm(mount, { recursive: true, force: true }));

async function service(name: string): Promise<string> {
  const folder = join(mount, name);
  await mkdir(folder);
  await writeFile(join(folder, "cgroup.controllers"), "cpu memory pids\n");
  return folder;
}

const groupsOf = async (folder: string) =>
  (await readdir(folder, { withFileTypes: true })).filter((one) => one.isDirectory()).map(({ name }) => name);

test("two nodes that one process starts at once take nothing from each other", async () => {
  const folder = await service("two");
  const place = { mount, own: "/two" };
  const made = await Promise.all([createCgroups(place), createCgroups(place)]);
  expect(made).toEqual([expect.any(Object), expect.any(Object)]);
  const leaves = (await groupsOf(folder)).filter((name) => name.startsWith(`gevulot-node-${process.pid}-`));
  expect(leaves).toHaveLength(2);
  // Nobody was moved back.
  expect(await readdir(folder)).not.toContain("cgroup.procs");
});

test("what killed nodes left goes, with the groups they were in themselves", async () => {
  const folder = await service("killed");
  const { pid } = spawnSync("true");
  const left = [`gevulot-${pid}/task`, `gevulot-node-${pid}-0a1b`, `gevulot-node-${pid}`];
  const kept = [`gevulot-node-${process.ppid}-0a1b`, "gevulot-nodes"];
  for (const name of [...left, ...kept]) await mkdir(join(folder, name), { recursive: true });
  expect(typeof (await createCgroups({ mount, own: "/killed" }))).toBe("object");
  const groups = (await groupsOf(folder)).filter((name) => !name.includes(String(process.pid)));
  expect(groups.sort()).toEqual(kept.sort());
});
