import { chown, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findProjectFolder } from "./projectFolder.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "project-"));
});
afterEach(() => rm(dir, { recursive: true }));

test("the nearest folder with a configuration or a devnet, and else the folder itself", async () => {
  const deep = join(dir, "a/b/c");
  await mkdir(deep, { recursive: true });
  expect(findProjectFolder(deep, "/nowhere")).toBe(deep);
  await mkdir(join(dir, "a/.gevulot/devnet"), { recursive: true });
  expect(findProjectFolder(deep, "/nowhere")).toBe(join(dir, "a"));
  await writeFile(join(dir, "a/b/gevulot.config.ts"), "");
  expect(findProjectFolder(deep, "/nowhere")).toBe(join(dir, "a/b"));
});

test("what another user put into a folder above is not taken", async (context) => {
  if (process.getuid?.() !== 0) return context.skip("only root gives files to others");
  const config = join(dir, "gevulot.config.ts");
  await writeFile(config, "");
  await mkdir(join(dir, "project"));
  expect(findProjectFolder(join(dir, "project"), "/nowhere")).toBe(dir);
  await chown(config, 65_534, 65_534);
  expect(findProjectFolder(join(dir, "project"), "/nowhere")).toBe(join(dir, "project"));
});

test("a devnet in the home folder is not that of every project in it", async () => {
  await mkdir(join(dir, ".gevulot/devnet"), { recursive: true });
  await mkdir(join(dir, "project"));
  expect(findProjectFolder(join(dir, "project"), dir)).toBe(join(dir, "project"));
  expect(findProjectFolder(dir, dir)).toBe(dir);
});
