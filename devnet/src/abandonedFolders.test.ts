import { spawnSync } from "node:child_process";
import { chown, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ownerMark, removeAbandonedFolders } from "./abandonedFolders.ts";

let root = "";
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "gevulot-abandoned-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const PREFIX = "gevulot-x-";
const [own, , namespace] = ownerMark().split("-");
const gonePid = spawnSync("true").pid;

test("of a process that is gone, and of none that lives or that can't be known", async () => {
  const folders = join(root, "folders");
  const gone = `${PREFIX}${gonePid}-1-${namespace}-aB1`;
  const kept = [
    `${PREFIX}${ownerMark()}-aB1`,
    // Another container's, with this machine's /tmp.
    `${PREFIX}${gonePid}-1-1${namespace}-aB1`,
    `${PREFIX}volumes-aB1`,
    `gevulot-y-${gonePid}-1-${namespace}-aB1`,
  ];
  for (const name of [gone, `${PREFIX}${own}-0-${namespace}-aB2`, ...kept]) {
    await mkdir(join(folders, name, "deep"), { recursive: true });
  }
  await removeAbandonedFolders(folders, PREFIX);
  expect((await readdir(folders)).sort()).toEqual(kept.sort());
});

test("neither a file nor a link", async () => {
  const others = join(root, "others");
  const target = join(root, "target");
  await mkdir(target);
  await mkdir(others);
  const name = `${PREFIX}${gonePid}-1-${namespace}-aB`;
  await symlink(target, join(others, `${name}1`));
  await writeFile(join(others, `${name}2`), "");
  await removeAbandonedFolders(others, PREFIX);
  expect(await readdir(others)).toEqual([`${name}1`, `${name}2`]);
});

test("not another user's, also as root", async (context) => {
  if (process.getuid?.() !== 0) context.skip("needs root: only root can make another user's folder");
  const foreign = join(root, "foreign");
  const name = `${PREFIX}${gonePid}-1-${namespace}-aB1`;
  await mkdir(join(foreign, name), { recursive: true });
  await chown(join(foreign, name), 12_345, 12_345);
  await removeAbandonedFolders(foreign, PREFIX);
  expect(await readdir(foreign)).toEqual([name]);
});

test("a folder that can't be read is no failure", async () => {
  await removeAbandonedFolders(join(root, "none"), PREFIX);
});
