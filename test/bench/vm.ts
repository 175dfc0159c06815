/**
 * Cold start: `npm run bench -- vm [pairs]`. From the scheduler's decision to the first thing that the program does, in a
 * devnet as `up` starts it, against a bare QEMU start of the same kernel and root; one after the other, in turns.
 */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startDevnet } from "gevulot-devnet";
import { buildImage } from "../../devnet/src/image/buildImage.ts";
import { prepareBoot } from "../../devnet/src/image/prepareBoot.ts";
import { probeAccelerator } from "../../devnet/src/vm/probeAccelerator.ts";
import { startBare } from "./vm/bare.ts";
import { firstByteOf } from "./vm/console.ts";

const PAIRS = Number(process.argv[2] ?? 7);
const WANTED_RATIO = 1.25;
const MEM_MIB = 512;
const TIMEOUT_MS = 60_000;

const dir = await mkdtemp(join(tmpdir(), "gevulot-bench-"));
try {
  const nodeProgram = join(dir, "first.mjs");
  await writeFile(nodeProgram, 'process.stdout.write("first\\n");\n');
  const { name: accelerator } = await probeAccelerator({ qemuPath: "qemu-system-x86_64" });
  console.log(`${PAIRS} pairs each, ${accelerator}, 1 vCPU, ${MEM_MIB} MiB`);
  await measure("static program", "/bin/busybox", ["echo", "first"]);
  await measure("Node.js", nodeProgram, []);

  async function measure(what: string, program: string, args: readonly string[]): Promise<void> {
    const imagePath = join(dir, "program.img");
    await buildImage({ program, manifest: { Args: args }, outputPath: imagePath });
    const boot = await prepareBoot({ imagePath, cacheDir: join(dir, "cache") });
    const admitted = new Map<string, number>();
    const onNodeLine = (line: string): void => {
      const entry = line.startsWith("{") ? JSON.parse(line) : {};
      if (entry.msg === "task admitted") admitted.set(entry.run, Date.parse(entry.time));
    };
    await using net = await startDevnet({ logLevel: "debug", onNodeLine });
    const client = net.client();
    const source = { file: imagePath, resources: { memMib: MEM_MIB, cpus: 1 } };
    const { prover, verifier } = await client.deploy({
      name: "bench",
      prover: source,
      // Never reached, and by another name another program.
      verifier: { ...source, name: "verifier" },
    });

    const startByNode = async (): Promise<number> => {
      const run = await client.prove({ prover, verifier });
      const folder = join(net.nodes[0].dataDir, "log", run.hash);
      await mkdir(folder, { recursive: true });
      using first = firstByteOf(join(folder, "stdout.log"), TIMEOUT_MS);
      const at = await first.at;
      // It gives no result, which is not what is measured.
      await run.result().catch(() => {});
      return at - (admitted.get(run.hash) ?? Number.NaN);
    };
    const bareOptions = { imagePath, boot, accelerator, memMib: MEM_MIB, timeoutMs: TIMEOUT_MS };
    const bareFolder = join(dir, "bare");
    const ours: number[] = [];
    const bare: number[] = [];
    // The first of each fills the caches of both, and does not count.
    for (let pair = 0; pair <= PAIRS; pair++) {
      const [oursMs, bareMs] = [await startByNode(), await startBare({ ...bareOptions, folder: bareFolder })];
      console.log(`  ${what}: node ${oursMs.toFixed(0)} ms, bare ${bareMs.toFixed(0)} ms`);
      if (pair > 0) {
        ours.push(oursMs);
        bare.push(bareMs);
      }
    }
    report(what, ours, bare);
  }
} finally {
  await rm(dir, { recursive: true, force: true });
}

function report(what: string, ours: readonly number[], bare: readonly number[]): void {
  const ratio = median(ours) / median(bare);
  const reached = ratio <= WANTED_RATIO;
  console.log(
    `${what}: node ${median(ours).toFixed(0)} ms, bare QEMU ${median(bare).toFixed(0)} ms (medians), ` +
      `ratio ${ratio.toFixed(3)}; wanted ${WANTED_RATIO} at most: ${reached ? "reached" : "NOT reached"}`,
  );
  if (!reached) process.exitCode = 1;
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
