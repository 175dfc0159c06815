import { tmpdir } from "node:os";
import { expect, test } from "vitest";
import { runCommand } from "./runCommand.ts";

const options = (signal = AbortSignal.timeout(50_000)) => ({ cwd: tmpdir(), env: {}, signal });

test("ends when the command has ended, also where that left something running which holds its output", async () => {
  const began = Date.now();
  await runCommand(["sh", "-c", "sleep 60 & echo done"], options());
  await expect(
    runCommand(["sh", "-c", "sleep 60 & echo no such segment >&2; exit 3"], options()),
  ).rejects.toMatchObject({
    code: "STEP_FAILED",
    message: expect.stringMatching(/exit code 3: no such segment$/),
  });
  expect(Date.now() - began).toBeLessThan(45_000);
});

test("is cancelled at any time", async () => {
  for (const signal of [AbortSignal.abort(), AbortSignal.timeout(200)]) {
    await expect(runCommand(["sleep", "60"], options(signal))).rejects.toMatchObject({
      code: "STEP_CANCELLED",
    });
  }
});
