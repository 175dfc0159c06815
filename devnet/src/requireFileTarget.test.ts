import { execFileSync } from "node:child_process";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { requireFileTarget } from "./requireFileTarget.ts";

test("devices and pipes, and links to them, are no place for a file; files, links to files and free names are", async () => {
  const dir = await mkdtemp(join(tmpdir(), "target-"));
  try {
    const [file, pipe, toFile, toPipe, nowhere] = ["file", "pipe", "toFile", "toPipe", "nowhere"].map(
      (name) => join(dir, name),
    ) as [string, string, string, string, string];
    await writeFile(file, "");
    execFileSync("mkfifo", [pipe]);
    await symlink(file, toFile);
    await symlink(pipe, toPipe);
    await symlink(join(dir, "gone"), nowhere);
    for (const path of [file, toFile, nowhere, join(dir, "new"), dir]) await requireFileTarget(path);
    for (const path of [pipe, toPipe, "/dev/null"])
      await expect(requireFileTarget(path), path).rejects.toMatchObject({ code: "OUTPUT_NOT_A_FILE" });
  } finally {
    await rm(dir, { recursive: true });
  }
});
