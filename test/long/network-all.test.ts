import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildImage, startDevnet } from "gevulot-devnet";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { deployBoth, everywhere, results } from "../fixtures/network.ts";

const dir = mkdtempSync(join(tmpdir(), "network-all-"));
const image = join(dir, "program.img");

beforeAll(async () => {
  const program = fileURLToPath(new URL("../fixtures/programs/misbehave.mjs", import.meta.url));
  await buildImage({ program, outputPath: image, manifest: { Mounts: { "%1": "/workspace" } } });
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe("five nodes that all work", () => {
  test("five Proofs and twenty-five Verifications", async () => {
    await using net = await startDevnet({
      nodes: 5,
      mode: "all",
      provider: "process",
      memGb: 4,
      numCpus: 8,
    });
    const { prover, verifier } = await deployBoth(net, image);
    const run = await net.client().run({
      steps: [
        { program: prover, args: ["ok"] },
        { program: verifier, args: ["ok"] },
      ],
    });
    const statuses = await everywhere(net, run.hash, results(5, 25), 300_000);
    for (const { state } of statuses) expect(state).toBe("complete");
  });
});
