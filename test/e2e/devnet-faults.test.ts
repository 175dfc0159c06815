import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildImage, type Devnet, startDevnet } from "gevulot-devnet";
import { isGevulotError } from "gevulot-sdk";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { rankNodes } from "../../devnet/src/schedule/assignment.ts";
import { clientOf, deployBoth, everywhere, results } from "../fixtures/network.ts";

/** Three nodes as processes, with everything real but the VMs. */
const dir = mkdtempSync(join(tmpdir(), "faults-"));
const image = join(dir, "program.img");
let net: Devnet;
let programs: { prover: string; verifier: string };

beforeAll(async () => {
  const program = fileURLToPath(new URL("../fixtures/programs/misbehave.mjs", import.meta.url));
  await buildImage({ program, outputPath: image, manifest: { Mounts: { "%1": "/workspace" } } });
  net = await startDevnet({ nodes: 3, provider: "process", memGb: 4, numCpus: 8, verifiers: 1 });
  programs = await deployBoth(net, image);
});
afterEach(() => net?.faults.heal());
afterAll(async () => {
  await net?.close();
  rmSync(dir, { recursive: true, force: true });
});

/** @param verify what the verifier is told: it takes the prover's file with `expect` only where that is what it says */
const send = (verify: string[] = ["expect", "good"], node = 0) =>
  clientOf(net, net.nodes[node] as Devnet["nodes"][0]).run({
    steps: [
      { program: programs.prover, args: ["ok", "good"] },
      {
        program: programs.verifier,
        args: verify,
        inputs: [{ from: programs.prover, output: "/workspace/out.txt" }],
      },
    ],
  });
const stateOn = (node: number, run: string) =>
  clientOf(net, net.nodes[node] as Devnet["nodes"][0])
    .getRunStatus(run)
    .then(
      (status) => status.state,
      () => "unknown",
    );

async function peersOf(node: number): Promise<unknown[]> {
  const response = await fetch(net.nodes[node]!.rpcUrl, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "getNodeInfo", params: [] }),
  });
  return ((await response.json()) as { result: { Ok: { peers: unknown[] } } }).result.Ok.peers;
}

test("a checkpoint: what came since is unknown on all nodes and stays so; a new Run works", async () => {
  const kept = await send();
  await everywhere(net, kept.hash, results(1, 1));
  await using checkpoint = await net.checkpoint();
  const gone = await send();
  await everywhere(net, gone.hash, results(1, 1));
  // Tasks that run are ended by a revert too.
  const endless = await clientOf(net, net.nodes[0]).run({
    steps: [{ program: programs.prover, args: ["forever"] }],
  });
  await expect.poll(() => stateOn(0, endless.hash)).toBe("proving");
  for (let times = 0; times < 2; times++) {
    await checkpoint.revert();
    const after = await send();
    await everywhere(net, after.hash, results(1, 1));
    for (const node of [0, 1, 2]) {
      expect(await stateOn(node, gone.hash)).toBe("unknown");
      expect(await stateOn(node, endless.hash)).toBe("unknown");
      expect(await stateOn(node, kept.hash)).toBe("complete");
    }
  }
});

test("a node that tampers with its Proofs is found out, and another proves", async () => {
  await using fault = await net.faults.tamperProof({ node: 0 });
  expect(fault.description).toContain("node0");
  // A Run of which this node proves first.
  let run = await send();
  const first = () =>
    rankNodes(
      run.hash,
      net.nodes.map(({ publicKey }) => publicKey),
    )[0];
  while (first() !== net.nodes[0].publicKey) run = await send();
  const { proofs, verifications } = await run.result();
  const [tampered, good] = proofs.map(async ({ files }) => new TextDecoder().decode(await files[0]?.bytes()));
  expect(proofs.map(({ author }) => author === net.nodes[0].publicKey)).toEqual([true, false]);
  expect(await tampered).not.toBe("good");
  expect(await good).toBe("good");
  expect(verifications.map(({ proof }) => proof)).toEqual([proofs[1]?.hash]);
});

test("all nodes tamper: the Run fails, with the verifier's words; healed, the next one verifies", async () => {
  const fault = await net.faults.tamperProof();
  const run = await send();
  const error = await run.result().then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(isGevulotError(error, "TASK_FAILED") && error.message).toMatch(/expected good|good/);
  await fault.heal();
  await fault.heal();
  await everywhere(net, (await send()).hash, results(1, 1));
});

test("verifiers that lie: what is rejected becomes complete, what is right fails", async () => {
  const all = [0, 1, 2];
  const liars = await Promise.all(all.map((node) => net.faults.lyingVerifier(node)));
  await everywhere(net, (await send(["throw"])).hash, results(1, 1));
  for (const liar of liars) await liar.heal();
  await Promise.all(all.map((node) => net.faults.lyingVerifier(node, { says: "invalid" })));
  await expect((await send()).result()).rejects.toMatchObject({ code: "TASK_FAILED" });
});

test("chance follows from the seed and the Run", async () => {
  await Promise.all([0, 1, 2].map((node) => net.faults.lyingVerifier(node, { says: "invalid", chance: 0 })));
  await everywhere(net, (await send()).hash, results(1, 1));
});

test("a partition: the other side hears of nothing until it is healed", async () => {
  const fault = await net.faults.partition([[0], [1, 2]]);
  await expect.poll(async () => (await peersOf(0)).length).toBe(0);
  const run = await send(undefined, 1);
  await expect.poll(() => stateOn(2, run.hash)).not.toBe("unknown");
  expect(await stateOn(0, run.hash)).toBe("unknown");
  await fault.heal();
  // Where it is healed before the Proof is there, both sides may prove.
  await everywhere(net, run.hash, ({ state }) => state === "complete");
});

test("a node that is killed comes back; its disk may be slow; VMs that lose VSOCK have their files", async () => {
  const killed = await net.faults.killNode("any");
  expect(net.nodes.filter(({ pid }) => pid === null)).toHaveLength(1);
  const alive = net.nodes.findIndex(({ pid }) => pid !== null);
  const run = await send(undefined, alive);
  await everywhere(net, run.hash, results(1, 1));
  await killed.heal();
  await everywhere(net, run.hash, results(1, 1));
  for (const node of [0, 1, 2]) {
    await net.faults.slowDisk(node, { delayMs: 300 });
    await net.faults.dropVsock(node);
  }
  const slow = await send();
  const [status] = await everywhere(net, slow.hash, results(1, 1));
  const [task] = status!.tasks;
  const { startedAt, endedAt } = task!.attempts[0]!;
  expect(Date.parse(endedAt!) - Date.parse(startedAt)).toBeGreaterThan(600);
});

test.each<[string, () => Promise<unknown>, string]>([
  ["no such node", () => net.faults.killNode(3), "there is no node 3"],
  ["a node of two groups", () => net.faults.partition([[0], [0, 1]]), "two groups"],
  ["more than always", () => net.faults.tamperProof({ chance: 2 }), "from 0 to 1"],
  ["a time that runs back", () => net.faults.slowDisk(0, { delayMs: -1 }), "from 0"],
])("wrong: %s", async (_, inject, reason) => {
  const error = await inject().catch((thrown: unknown) => thrown);
  expect(isGevulotError(error, "FAULT_INVALID") && error.message).toContain(reason);
});
