import { execFileSync } from "node:child_process";
import { mkdtemp, open, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { writeOutputFiles } from "./outputFiles.ts";

let dir = "";
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "output-"));
});
afterEach(() => rm(dir, { recursive: true }));

const modeOf = async (path: string) => (await stat(path)).mode & 0o777;

test("a file that is replaced gets the mode that is wanted", async () => {
  const path = join(dir, "compose.yaml");
  await writeFile(path, "something longer", { mode: 0o600 });
  await writeOutputFiles(dir, [{ path: "compose.yaml", content: "new" }], { force: true });
  expect(await readFile(path, "utf8")).toBe("new");
  expect(await modeOf(path)).toBe(0o644);
});

test("a pipe or a device is written to, and its mode left alone", async () => {
  const path = join(dir, "pipe");
  execFileSync("mkfifo", ["-m", "600", path]);
  await using reader = await open(path, "r+");
  await writeOutputFiles(dir, [{ path: "pipe", content: "through" }], { force: true });
  expect((await reader.read(Buffer.alloc(100))).buffer.toString("utf8", 0, 7)).toBe("through");
  expect(await modeOf(path)).toBe(0o600);
});
