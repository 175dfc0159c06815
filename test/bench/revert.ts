import { spawnSync } from "node:child_process";
import { startDevnet } from "gevulot-devnet";

/**
 * Going back in time on a running devnet of 1 and of 3 nodes, beside the start of a bare Node.js process in the same run.
 * `npm run bench -- revert [rounds]`.
 */
const ROUNDS = Number(process.argv[2] ?? 20);

const median = (all: number[]): number => all.sort((a, b) => a - b)[Math.floor(all.length / 2)] as number;
const timed = async (work: () => unknown): Promise<number> => {
  const start = performance.now();
  await work();
  return performance.now() - start;
};

for (const nodes of [1, 3]) {
  const net = await startDevnet({ nodes, provider: "process" });
  try {
    const saved: number[] = [];
    const reverted: number[] = [];
    const bare: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const start = performance.now();
      await using checkpoint = await net.checkpoint();
      saved.push(performance.now() - start);
      reverted.push(await timed(() => checkpoint.revert()));
      bare.push(await timed(() => spawnSync(process.execPath, ["-e", "0"])));
    }
    const reference = median(bare);
    const tell = (what: string, all: number[]) => {
      const ms = median(all);
      console.log(
        `${nodes} nodes, ${what}: ${ms.toFixed(0)} ms, ${(ms / reference).toFixed(1)} x a bare Node.js process`,
      );
    };
    tell("checkpoint", saved);
    tell("revert", reverted);
    console.log(`  a bare Node.js process: ${reference.toFixed(0)} ms`);
  } finally {
    await net.close();
  }
}
