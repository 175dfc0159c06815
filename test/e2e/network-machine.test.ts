import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildImage, type Devnet, type DevnetNode, startDevnet } from "gevulot-devnet";
import type { RunHandle, RunStatus } from "gevulot-sdk";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { rankNodes } from "../../devnet/src/schedule/assignment.ts";
import { clientOf, everywhere } from "../fixtures/network.ts";

/** Two of the small programs, or one large one. */
const MACHINE_MIB = 256;
const SIZES = { small: 100n, large: 250n };
const AT_ONCE = 2;
const RUNS = 5;

describe("three nodes on one machine", () => {
  const dir = mkdtempSync(join(tmpdir(), "machine-"));
  const image = join(dir, "program.img");
  let net: Devnet;
  const programs: Record<string, string> = {};
  beforeAll(async () => {
    const program = fileURLToPath(new URL("../fixtures/programs/misbehave.mjs", import.meta.url));
    await buildImage({ program, outputPath: image, manifest: { Mounts: { "%1": "/workspace" } } });
    net = await startDevnet({
      nodes: 3,
      provider: "process",
      memGb: MACHINE_MIB / 1_024,
      numCpus: 8,
      verifiers: 1,
    });
    const source = (name: keyof typeof SIZES) =>
      ({ file: image, name, resources: { memMib: SIZES[name], cpus: 1n } }) as const;
    const { prover, verifier } = await net
      .client()
      .deploy({ name: "machine", prover: source("large"), verifier: source("small") });
    Object.assign(programs, { large: prover.hash, small: verifier.hash });
  });
  afterAll(async () => {
    await net?.close();
    rmSync(dir, { recursive: true, force: true });
  });

  const send = (program: keyof typeof SIZES, args: string[]): Promise<RunHandle> =>
    net.client().run({ steps: [{ program: programs[program] as string, args }] });
  const firstOf = (run: RunHandle) => {
    const [first] = rankNodes(
      run.hash,
      net.nodes.map(({ publicKey }) => publicKey),
    );
    return net.nodes.find(({ publicKey }) => publicKey === first) as DevnetNode;
  };
  const hasEnded = ({ tasks }: RunStatus) => tasks.length > 0 && tasks.every(({ state }) => state === "done");

  test("never run more at once than it bears, and all Runs end", async () => {
    const runs = await Promise.all(Array.from({ length: RUNS }, () => send("small", ["sleep", "400"])));
    // Else one node alone would be tested.
    while (new Set(runs.map(firstOf)).size < 2) runs.push(await send("small", ["sleep", "400"]));
    const spans: { from: number; to: number }[] = [];
    for (const { hash } of runs) {
      const [status] = await everywhere(net, hash, hasEnded);
      for (const { startedAt, endedAt } of status?.tasks.flatMap(({ attempts }) => attempts) ?? []) {
        spans.push({ from: Date.parse(startedAt), to: Date.parse(endedAt as string) });
      }
    }
    expect(spans).toHaveLength(runs.length);
    // The most at once are there when one of them begins.
    const counts = spans.map(
      ({ from }) => spans.filter((each) => each.from <= from && from < each.to).length,
    );
    expect(Math.max(...counts)).toBe(AT_ONCE);
  });

  test("what a node held that was killed is free for the others", async () => {
    const holding = await send("large", ["forever"]);
    const holder = firstOf(holding);
    await everywhere(net, holding.hash, ({ state }) => state === "proving");
    let waiting = await send("small", ["ok"]);
    while (firstOf(waiting) === holder) waiting = await send("small", ["ok"]);
    const waiter = clientOf(net, firstOf(waiting));
    const reason = async () => (await waiter.getRunStatus(waiting.hash))?.tasks[0]?.waitsFor ?? null;
    await expect
      .poll(reason)
      .toBe("waits for 100 MiB of memory, 6 free on this machine, which other nodes use, too");
    await holder.kill("SIGKILL");
    // Both fit only where what the holder had is free: the large one, which is another's turn now, and then the small one.
    const runsElsewhere = ({ tasks }: RunStatus) =>
      tasks.some(({ node, state }) => node !== holder.publicKey && state === "running");
    await everywhere(net, holding.hash, runsElsewhere);
    await waiter.getRun(holding.hash).cancel();
    await everywhere(net, waiting.hash, hasEnded);
  });
});
