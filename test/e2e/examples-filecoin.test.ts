import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeEach, expect, test } from "vitest";
import { filecoin, volumeContent } from "../../examples/filecoin/app.ts";
import { findBuild, whyNot } from "../../examples/toolchain.ts";
import { runCli } from "../fixtures/cli.ts";

const MANIFEST = fileURLToPath(new URL("../../examples/filecoin/benchy.manifest.json", import.meta.url));
const buildDir = whyNot(filecoin) === null ? findBuild(filecoin) : null;
const skipped =
  buildDir === null
    ? (whyNot(filecoin) ?? "benchy takes ten minutes to build, which npm run test:long does")
    : null;
const folder = mkdtempSync(join(tmpdir(), "gevulot-filecoin-"));
const volumes = ["--volumes-directory", join(folder, "volumes")];

afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeEach((context) => {
  if (skipped !== null) context.skip(skipped);
});

// The proof itself takes minutes without KVM: test/long/examples-filecoin.test.ts.
test("the benchmark looks for its parameters where its settings say, on the volume", async () => {
  const content = volumeContent(buildDir as string);
  const create = ["volume", "create", "tmp", "--writable", "-d", content];
  const made = await runCli("gevulot-devnet", [...create, ...volumes]);
  expect(made.stderr).toBe("");
  // Other sectors than those that the volume has parameters for.
  const args = ["winning-post", "--size", "8MiB", "--fake"].map((arg) => `-a=${arg}`);
  const run = [
    "vm",
    "run",
    join(buildDir as string, "benchy"),
    "-c",
    MANIFEST,
    "--exec",
    ...args,
    ...volumes,
  ];
  const ended = await runCli("gevulot-devnet", run, { cwd: buildDir as string });
  const said = ended.stdout + ended.stderr;
  expect(said).toMatch(/no parameters for sectors of 8388608 bytes: \/tmp\/filecoin-proof-parameters\/v28-/);
  // RUST_LOG of the manifest's Env.
  expect(said).toContain("INFO storage_proofs_core");
  expect(ended.code).toBe(1);
});
