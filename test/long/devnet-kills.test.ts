import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildImage } from "gevulot-devnet";
import { expect, test } from "vitest";
import { findExecutable } from "../../devnet/src/vm/findExecutable.ts";
import { killRounds } from "../fixtures/killRounds.ts";

const SEED = Number(process.env.KILL_SEED ?? Math.floor(Math.random() * 2 ** 32));

/** 40 with host processes, 10 with VMs, whose starts are slow without KVM. */
test.for([
  { provider: "process" as const, rounds: 40 },
  { provider: "qemu" as const, rounds: 10 },
])(
  "kill -9 at random moments, programs run as $provider: $rounds times",
  async ({ provider, rounds }, context) => {
    if (process.platform !== "linux") context.skip("what is left is looked for in /proc");
    if (provider === "qemu" && (await findExecutable("qemu-system-x86_64")) === null)
      context.skip("QEMU is not here");
    const dir = await mkdtemp(join(tmpdir(), "k-"));
    try {
      const image = join(dir, "program.img");
      const program = fileURLToPath(new URL("../fixtures/programs/misbehave.mjs", import.meta.url));
      await buildImage({ program, outputPath: image, manifest: { Mounts: { "%1": "/workspace" } } });
      await killRounds({ dir, image, seed: SEED, rounds, nodes: 3, provider, say: console.log });
      expect(rounds).toBeGreaterThan(0);
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  },
);
