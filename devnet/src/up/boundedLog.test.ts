import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createBoundedLog } from "./boundedLog.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "gevulot-log-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it("keeps the newest lines, within twice the limit", async () => {
  const path = join(folder, "bounded.log");
  const log = createBoundedLog(path, 1_000);
  for (let line = 0; line < 1_000; line++) log.write(`line ${line}\n`);
  log.close();
  log.write("after the end\n");

  const [newer, older] = await Promise.all([stat(path), stat(`${path}.1`)]);
  expect(newer.size + older.size).toBeLessThan(2_100);
  expect(await readFile(path, "utf8")).toMatch(/line 999\n$/);
});

it("goes on behind what an earlier run wrote", async () => {
  const path = join(folder, "again.log");
  for (const run of ["first", "second"]) {
    const log = createBoundedLog(path, 1_000);
    log.write(`${run}\n`);
    log.close();
  }
  expect(await readFile(path, "utf8")).toBe("first\nsecond\n");
});

it("loses lines where the disk is full, and nothing else", async () => {
  const log = createBoundedLog("/dev/full", 1_000);
  log.write("lost\n");
  log.close();

  const path = join(folder, "removed.log");
  const other = createBoundedLog(path, 10);
  other.write("longer than the limit\n");
  await rm(path);
  other.write("anew\n");
  other.close();
  expect(await readFile(path, "utf8")).toBe("anew\n");
});
