import { execFileSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runTool } from "./runTool.ts";

test("what takes too long is stopped, and called so", async () => {
  const folder = await mkdtemp(join(tmpdir(), "gevulot-tool-"));
  try {
    const pipe = join(folder, "pipe");
    execFileSync("mkfifo", [pipe]);
    await expect(runTool("xz", ["-dc", pipe], { timeoutMs: 200 })).rejects.toMatchObject({
      code: "TOOL_TIMED_OUT",
      message: expect.stringMatching(/xz did not end within 0\.2 s/),
    });
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("what fails says why", async () => {
  const input = Buffer.from("no xz");
  await expect(runTool("xz", ["-dc"], { input })).rejects.toMatchObject({
    code: "TOOL_FAILED",
    message: expect.stringMatching(/not recognized/),
  });
});
