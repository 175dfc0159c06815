import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { startDevnet } from "gevulot-devnet";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { app, buildProverImage, filecoin, volumeContent } from "../../examples/filecoin/app.ts";
import { BUILD_DEADLINE_MS, buildExample, whyNot } from "../../examples/toolchain.ts";
import { binPath, runCli } from "../fixtures/cli.ts";

/** The build ends first, and says why. */
const BUILD_MS = BUILD_DEADLINE_MS + 60_000;
/** Two and a half minutes without KVM, on a quiet machine. */
const RUN_MS = 30 * 60_000;
const MANIFEST = fileURLToPath(new URL("../../examples/filecoin/benchy.manifest.json", import.meta.url));
const skipped = whyNot(filecoin);
const folder = mkdtempSync(join(tmpdir(), "gevulot-filecoin-"));
const volumesDirectory = join(folder, "volumes");
let buildDir: string;

beforeAll(async () => {
  if (skipped !== null) return;
  buildDir = await buildExample(filecoin);
  const create = ["volume", "create", "tmp", "--writable", "-d", volumeContent(buildDir)];
  const made = await runCli("gevulot-devnet", [...create, "--volumes-directory", volumesDirectory]);
  expect(made.stderr).toBe("");
}, BUILD_MS);
afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeEach((context) => {
  if (skipped !== null) context.skip(skipped);
});

test("vm run: the benchmark proves, from its manifest as it stands", { timeout: RUN_MS }, async () => {
  const program = ["vm", "run", join(buildDir, "benchy"), "-c", MANIFEST, "--exec", "--mem-mib", "1024"];
  const args = [binPath("gevulot-devnet"), ...program, "--volumes-directory", volumesDirectory];
  // It rejects where the exit code is not 0.
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, {
    cwd: buildDir,
    timeout: RUN_MS,
  });
  checkReport((stdout + stderr).split("\n").find((line) => line.startsWith('{"benchmark"')) ?? "");
});

test("deployed: a node runs it with the same volume", { timeout: RUN_MS }, async () => {
  const image = await buildProverImage(buildDir, folder);
  await using net = await startDevnet({ volumesDirectory, taskDeadlineSeconds: RUN_MS / 1_000 });
  const { report } = await app(net.client(), { image, timeoutMs: RUN_MS });
  checkReport(report);
});

function checkReport(report: string): void {
  expect(JSON.parse(report)).toMatchObject({
    benchmark: "winning-post",
    inputs: { sector_size: 2_048, fake: true },
    outputs: { proof: expect.stringMatching(/^[0-9a-f]{384}$/) },
    parameters: "/tmp/filecoin-proof-parameters/",
    // On the volume, too.
    sectors: expect.stringMatching(/^\/tmp\/\./),
  });
}
