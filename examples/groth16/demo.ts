import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startDevnet } from "gevulot-devnet";
import { isGevulotError, type RunStatus } from "gevulot-sdk";
import { app } from "./app.ts";
import { buildImages } from "./images.ts";
import { setupCircuit } from "./setup.ts";
import { timeline } from "./timeline.ts";

/** The whole story on one machine: a network of its own, two programs, a fresh secret each time, a verified proof. */
async function demo(outputDir: string): Promise<void> {
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  say("the circuit and its keys (made once, then taken from the cache)");
  const { dir: circuitDir } = await setupCircuit({ onProgress: (step) => say(`  ${step}`) });
  say("two programs, each a disk image that boots");
  const images = await buildImages({ circuitDir, outputDir, onProgress: (step) => say(`  ${step}`) });
  say("a network on this machine: PostgreSQL, a node, QEMU");
  const net = await startDevnet({ onProgress: (step) => say(`  ${step}`) });
  try {
    say(`  ready at ${net.nodes[0].rpcUrl}`);
    say("the app: deploy, prove, wait, download, check");
    let last: RunStatus | undefined;
    const begun = Date.now();
    const result = await app(net.client(), {
      images,
      circuitDir,
      outputDir,
      onSent: (run) => say(`  sent run ${run.hash}`),
      onStatus: (status) => {
        if (status.state !== last?.state) say(`  ${status.state}`);
        last = status;
      },
    });
    const totalMs = Date.now() - begun;
    say(`\nstatement     I know the preimage of ${result.hash}`);
    say(`proof         ${result.proof}`);
    say(`verification  ${result.verdict}`);
    say(`checked here  ${result.holdsHere ? "the proof holds" : "THE PROOF DOES NOT HOLD"}\n`);
    say(timeline(await net.client().getRunStatus(result.run)));
    say(`\nfrom deploy to verified result: ${(totalMs / 1_000).toFixed(1)} s`);
    if (!result.holdsHere) process.exitCode = 1;
  } finally {
    await net.close();
  }
}

const outputDir = await mkdtemp(join(tmpdir(), "gevulot-demo-"));
try {
  await demo(outputDir);
} catch (error) {
  process.stderr.write(`error: ${isGevulotError(error) ? error.message : (error as Error).stack}\n`);
  process.exitCode = 1;
} finally {
  await rm(outputDir, { recursive: true, force: true });
}
