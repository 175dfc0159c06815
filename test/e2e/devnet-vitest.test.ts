import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildImage } from "gevulot-devnet";
import { afterAll, beforeAll, expect, test } from "vitest";

const dir = mkdtempSync(join(tmpdir(), "vitest-"));
const image = join(dir, "program.img");
const config = join(dir, "vitest.config.mjs");
const root = fileURLToPath(new URL("../fixtures/vitest", import.meta.url));
const vitest = fileURLToPath(new URL("../../node_modules/vitest/vitest.mjs", import.meta.url));
const TIMEOUT_MS = 150_000;

beforeAll(async () => {
  const program = fileURLToPath(new URL("../fixtures/programs/misbehave.mjs", import.meta.url));
  // As in a user's project: the packages are those that were built.
  const test = { include: ["*.test.ts"], testTimeout: 60_000, hookTimeout: 60_000 };
  writeFileSync(config, `export default ${JSON.stringify({ cacheDir: join(dir, "cache"), test })}`);
  await buildImage({ program, outputPath: image, manifest: { Mounts: { "%1": "/workspace" } } });
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test("a user's test file: each test finds the devnet as set-up left it; a failure shows the task's console", async () => {
  const env = { ...process.env, USER_IMAGE: image, NO_COLOR: "1", FORCE_COLOR: "0", CI: "1" };
  // Vitest tells its workers from the variables of whoever started it.
  for (const name of Object.keys(env)) if (name.startsWith("VITEST")) delete env[name as keyof typeof env];
  const output = await new Promise<string>((resolve) =>
    execFile(
      process.execPath,
      [vitest, "run", "--config", config, "--root", root, "--reporter=verbose"],
      { env, cwd: root, timeout: TIMEOUT_MS },
      (_, stdout, stderr) => resolve(`${stdout}\n${stderr}`),
    ),
  );
  expect(output).toMatch(/✓ .*verifies, within limits/);
  expect(output).toMatch(/✓ .*knows nothing of the test before/);
  expect(output).toMatch(/× .*this one fails on purpose/);
  expect(output).toMatch(/2 passed/);
  expect(output.slice(output.indexOf("Failed Tests"))).toMatch(/The end of its console:[\s\S]*mode throw/);
});
