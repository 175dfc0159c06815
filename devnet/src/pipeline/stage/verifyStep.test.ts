import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { parsePipelineConfig } from "../config.ts";
import { createBlobStore } from "../data/blobStore.ts";
import { createVerifyStep } from "./verifyStep.ts";

it("checks with the keys that the stage has as a file, and as data", async () => {
  const dir = await mkdtemp(join(tmpdir(), "gevulot-verify-"));
  try {
    const blobs = createBlobStore(join(dir, "blob"));
    const { hash } = await blobs.put(Buffer.from("b"));
    await writeFile(join(dir, "first.key"), "a");
    const script = 'test "$(cat "$0/proof")" = "$(cat "$0/keys/0" "$0/keys/1")"';
    const config = parsePipelineConfig(
      `addr = "127.0.0.1:0"\nbase_dir = "${dir}"\ndatabase_url = "postgres://x"
proving_key_paths = ["${join(dir, "first.key")}", "sha256:${hash}"]
[steps]\nverify = { command = ["sh", "-c", ${JSON.stringify(script)}, "{in}"] }`,
      "stage.toml",
      "stage",
    );
    const verify = await createVerifyStep({ blobs, workDir: join(dir, "work") }, config);
    const check = (proof: string) =>
      verify!(
        { kind: "snark", proof: Buffer.from(proof), inputs: [], segment: null },
        AbortSignal.timeout(50_000),
      );
    expect(await check("ab")).toEqual({ kind: "valid" });
    expect(await check("ac")).toMatchObject({ kind: "invalid" });
  } finally {
    await rm(dir, { recursive: true });
  }
});
