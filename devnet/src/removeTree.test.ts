import { spawnSync } from "node:child_process";
import { access, mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { removeTree } from "./removeTree.ts";

test("removes what is nested deeper than a path may be long, and what isn't there", async () => {
  const dir = await mkdtemp(join(tmpdir(), "deep-"));
  const nest =
    'for (let i = 0; i < 60; i++) { fs.mkdirSync("x".repeat(200)); process.chdir("x".repeat(200)); }';
  expect(spawnSync(process.execPath, ["-e", nest], { cwd: dir }).status).toBe(0);
  await removeTree(dir);
  await expect(access(dir)).rejects.toThrow("ENOENT");
  await removeTree(dir);
});
