import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildImage } from "gevulot-devnet";
import { GevulotClient } from "gevulot-sdk";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runCli } from "../fixtures/cli.ts";
import { everywhere, type NetworkUnderTest, results } from "../fixtures/network.ts";

/** What the commands show of a real Run on two nodes, with everything real but the VMs. */
let dir = "";
let client: GevulotClient;
let net: NetworkUnderTest;
let programs: { readonly prover: string; readonly verifier: string };
let keyOfFirst = "";
const devnet = (...args: string[]) => runCli("gevulot-devnet", args, { cwd: dir });
const json = async (...args: string[]) => JSON.parse((await devnet(...args, "--json")).stdout);

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "insight-"));
  const program = fileURLToPath(new URL("../fixtures/programs/misbehave.mjs", import.meta.url));
  const image = join(dir, "program.img");
  await buildImage({ program, outputPath: image, manifest: { Mounts: { "%1": "/workspace" } } });
  const up = await json("up", "--detach", "--nodes=2", "--provider=process", "--inspect", "--no-explorer");
  expect(up).toMatchObject({ status: "ok" });
  const [first] = up.data.nodes;
  keyOfFirst = first.publicKey;
  client = new GevulotClient({ url: first.rpcUrl, key: up.data.accounts[0].secretKey });
  net = { nodes: up.data.nodes, accounts: up.data.accounts, client: () => client };
  const source = (name: string) => ({ file: image, name, resources: { memMib: 64, cpus: 1 } });
  const deployed = await client.deploy({ name: "i", prover: source("prover"), verifier: source("verifier") });
  programs = { prover: deployed.prover.hash, verifier: deployed.verifier.hash };
});
afterAll(async () => {
  if (dir !== "") await devnet("down");
  await rm(dir, { recursive: true, force: true });
});

const send = (...args: string[]) =>
  client.run({
    steps: [
      { program: programs.prover, args },
      { program: programs.verifier, args: ["ok"] },
    ],
  });

describe("a run on two nodes", () => {
  let run = "";
  beforeAll(async () => {
    const handle = await send("ok", "a");
    run = handle.hash;
    await handle.result({ minVerifications: 2 });
  });

  test("is traced: what each node did, in one order", async () => {
    await everywhere(net, run, results(1, 2));
    const { data, warnings } = await json("trace", run.slice(0, 12));
    expect([data.run, data.leftOut, warnings]).toEqual([run, 0, []]);
    type Span = { name: string; kind: string; node: string; startedAt: string; step: number | null };
    const spans = data.spans as Span[];
    const has = (name: string, kind: string) =>
      spans.filter((each) => each.name === name && each.kind === kind);
    expect(new Set(has("store", "run").map(({ node }) => node))).toEqual(new Set(["node0", "node1"]));
    expect(has("gossip", "run")).toMatchObject([{ node: "node1" }]);
    expect(has("gossip", "proof")).toHaveLength(1);
    expect(has("store", "verification")).toHaveLength(4);
    for (const name of ["queue", "prepare", "init", "program", "stop-vm", "collect"]) {
      expect(has(name, "proof"), name).toHaveLength(1);
      expect(has(name, "verification"), name).toHaveLength(2);
    }
    const starts = spans.map(({ startedAt }) => startedAt);
    expect(starts).toEqual([...starts].sort());
    const table = (await devnet("trace", run)).stdout;
    expect(table).toMatch(
      /^run [0-9a-f]{64}: \d+\.\d{3} s on 2 nodes\n +start +took +node +what\n *\+0\.000 s/,
    );
    expect(table).toMatch(/step 0: program +━*╸* +prover\n/);
  });

  test("has consoles, from whichever node ran what", async () => {
    const all = (await devnet("logs", run.slice(0, 12))).stdout;
    expect(all).toMatch(
      /^--- step 0 "prover" on node[01], attempt 1 \(task [0-9a-f]{16}\)\n[\s\S]*mode ok\n/,
    );
    expect(all.match(/--- step 1 "verifier"/g)).toHaveLength(2);
    const { tasks } = await client.getRunStatus(run);
    const other = tasks.find(({ node }) => node !== keyOfFirst);
    const one = await devnet("logs", String(other?.id));
    expect(one.stdout).toContain("mode ok\n");
    expect(one.stdout).not.toContain("---");
  });

  test("its programs could be debugged, as the nodes' logs say", async () => {
    const { stdout } = await devnet("logs", "-n", "500");
    expect(stdout).toMatch(
      /node[01] info {2}a debugger can attach to the program .*inspector=.*ws:\/\/127\.0\.0\.1:\d+/,
    );
    expect(stdout).toContain(`run=${run.slice(0, 12)}`);
    const one = await json("logs", "node1", "-n", "3");
    expect(one.data.map(({ node }: { node: string }) => node)).toEqual(Array(3).fill("node1"));
  });

  test("is followed while it goes on, and after its end the command ends", async () => {
    const slow = await send("sleep", "1500");
    const followed = await devnet("logs", slow.hash, "-f");
    expect(followed.code).toBe(0);
    expect(followed.stdout).toMatch(/^node[01] step 0 \| mode sleep$/m);
    expect(followed.stdout).toMatch(/^node[01] step 1 \| mode ok$/m);
  });

  test.each([
    [
      "an unknown hash",
      ["trace", "abcdef012345"],
      1,
      /No run, proof or verification .* begins with abcdef012345/,
    ],
    ["no hash", ["trace", "xyz"], 2, /"xyz" is no hash/],
    ["a wrong address", ["trace", "abcd", "--node", "here"], 2, /--node: "here" is no address/],
    ["a node that is not there", ["logs", "node7"], 1, /no node7; it has node0, node1/],
    ["nonsense", ["logs", "???"], 2, /none of a node/],
    ["a wrong count", ["logs", "-n", "x"], 2, /--lines wants a whole number/],
    ["a node elsewhere", ["logs", "node0", "--node", "http://127.0.0.1:1"], 2, /log of a node elsewhere/],
    ["nobody there", ["trace", "abcd", "--node", "http://127.0.0.1:9"], 1, /No node gave an answer/],
    ["no devnet", ["trace", "abcd", "--state-dir", "elsewhere"], 1, /No devnet runs .*gevulot-devnet up/],
    ["no log", ["logs", "--state-dir", "elsewhere"], 1, /There is no devnet in .*gevulot-devnet up/],
    ["a slot that is none", ["doctor", "--gpu-devices", "gpu"], 2, /"gpu" is no PCI slot/],
  ])("%s", async (_, args, code, text) => {
    const ended = await devnet(...args);
    expect([ended.code, ended.stdout]).toEqual([code, ""]);
    expect(ended.stderr).toMatch(text);
  });

  test("its logs stay when the devnet has ended", async () => {
    await devnet("down");
    expect((await devnet("logs", "-n", "1000")).stdout).toContain("the node stops");
    expect((await devnet("trace", run)).stderr).toMatch(/No devnet runs/);
  });
});

test("doctor: findings with what mends them; a QEMU that is not there fails it", async () => {
  const args = ["doctor", "--qemu-path", join(dir, "no-qemu"), "--json"];
  const { code, stdout } = await runCli("gevulot-devnet", args, { cwd: tmpdir() });
  expect(code).toBe(1);
  const { status, data } = JSON.parse(stdout);
  expect(status).toBe("ok");
  expect(data.counts.fail).toBeGreaterThan(0);
  const qemu = data.findings.find(({ check }: { check: string }) => check === "QEMU");
  expect(qemu).toMatchObject({ state: "fail", mend: expect.stringContaining("install") });
  type Finding = { state: string; mend: string | null };
  const odd = data.findings.filter(({ state, mend }: Finding) => (mend === null) !== (state === "ok"));
  expect(odd).toEqual([]);
});
