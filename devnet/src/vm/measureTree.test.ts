import { mkdir, mkdtemp, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { removeTree } from "../removeTree.ts";
import { measureTree, NO_LIMITS } from "./measureTree.ts";

let root = "";
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "gevulot-tree-"));
});
afterEach(() => removeTree(root));

test("counts what has a name, and what it takes of the disk; follows no link", async () => {
  await mkdir(join(root, "a", "b"), { recursive: true });
  await writeFile(join(root, "a", "b", "file"), Buffer.alloc(100_000, 1));
  await symlink("/usr", join(root, "link"));
  await symlink("..", join(root, "a", "up"));
  await writeFile(join(root, "sparse"), "");
  await truncate(join(root, "sparse"), 2 ** 40);
  const size = await measureTree(root, NO_LIMITS);
  expect(size).toMatchObject({ entries: 6, excess: null });
  expect(size.bytes).toBeGreaterThanOrEqual(100_000);
  expect(size.bytes).toBeLessThan(200_000);
});

test("names that are no text count too", async () => {
  const name = Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xff, 0x80, 0x0a])]);
  await mkdir(name);
  await writeFile(Buffer.concat([name, Buffer.from("/\xc3\x28", "latin1")]), Buffer.alloc(50_000, 1));
  const size = await measureTree(root, NO_LIMITS);
  expect(size.entries).toBe(2);
  expect(size.bytes).toBeGreaterThanOrEqual(50_000);
});

test("stops at a limit, and says which", async () => {
  for (let index = 0; index < 20; index++) await writeFile(join(root, `f${index}`), Buffer.alloc(10_000, 1));
  const few = await measureTree(root, { ...NO_LIMITS, maxEntries: 10 });
  expect(few).toMatchObject({ entries: 11, excess: "more than 10 files and folders" });
  const small = await measureTree(root, { ...NO_LIMITS, maxBytes: 50_000 });
  expect(small.excess).toBe("more than 50000 bytes");
  expect(small.entries).toBeLessThan(20);
});

test("what is deeper than a path can say is too much; a folder that is gone is nothing", async () => {
  let path = root;
  const here = process.cwd();
  try {
    for (let level = 0; level < 25; level++) {
      const name = "d".repeat(200);
      path = level === 0 ? join(root, name) : name;
      await mkdir(path);
      process.chdir(path);
    }
  } finally {
    process.chdir(here);
  }
  expect((await measureTree(root, NO_LIMITS)).excess).toContain("deeper than a path can name");
  expect(await measureTree(join(root, "none"), NO_LIMITS)).toEqual({ entries: 0, bytes: 0, excess: null });
});
