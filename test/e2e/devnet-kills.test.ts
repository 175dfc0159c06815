import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildImage } from "gevulot-devnet";
import { expect, test } from "vitest";
import { killRounds } from "../fixtures/killRounds.ts";

/** The long tests kill 50 times. */
test("a devnet whose parts are killed at random moments leaves nothing, and comes up again", async (context) => {
  if (process.platform !== "linux") context.skip("what is left is looked for in /proc");
  const dir = await mkdtemp(join(tmpdir(), "k-"));
  try {
    const image = join(dir, "program.img");
    const program = fileURLToPath(new URL("../fixtures/programs/misbehave.mjs", import.meta.url));
    await buildImage({ program, outputPath: image, manifest: { Mounts: { "%1": "/workspace" } } });
    const seed = Math.floor(Math.random() * 2 ** 32);
    await killRounds({ dir, image, seed, rounds: 3, nodes: 1, provider: "process" });
    expect(seed).toBeGreaterThanOrEqual(0);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
