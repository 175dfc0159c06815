import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { pipelinePlonky2 } from "../../examples/pipeline-plonky2/app.ts";
import { whyNot } from "../../examples/toolchain.ts";

const folder = fileURLToPath(new URL("../../examples/pipeline-plonky2", import.meta.url));

test("the circuits of pipeline-plonky2 refuse what is not so", async (context) => {
  const skipped = whyNot(pipelinePlonky2);
  if (skipped !== null) context.skip(skipped);
  const scratch = mkdtempSync(join(tmpdir(), "gevulot-circuits-"));
  try {
    const target = process.env.CARGO_TARGET_DIR ?? scratch;
    const args = ["test", "--release", "--locked", "--target-dir", target, "--test", "circuits"];
    // As build.sh does.
    const env = { ...process.env, RUSTC_BOOTSTRAP: "1" };
    const { stdout } = await promisify(execFile)("cargo", args, { cwd: folder, env });
    expect(stdout).toContain("2 passed; 0 failed");
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
});
