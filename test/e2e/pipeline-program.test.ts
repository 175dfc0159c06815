import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildImage, type Devnet, startDevnet } from "gevulot-devnet";
import { GevulotClient, type Hash } from "gevulot-sdk";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runProgram } from "../../devnet/src/pipeline/steps/runProgram.ts";
import { createStepFolder } from "../../devnet/src/pipeline/steps/stepFolder.ts";
import { createPipelineNet, type PipelineNet } from "../fixtures/pipeline/pipelineNet.ts";

/** Steps that a Gevulot network runs: prove, and the stage's own verify. The others are commands. */
const dir = mkdtempSync(join(tmpdir(), "pipeline-program-"));
let devnet: Devnet;
let net: PipelineNet;
let program: Hash;
let network: { rpcUrl: string; keyFile: string };
const client = () => new GevulotClient({ url: network.rpcUrl, keyFile: network.keyFile });

beforeAll(async () => {
  const source = fileURLToPath(new URL("../fixtures/programs/pipelineStep.mjs", import.meta.url));
  const image = join(dir, "step.img");
  await buildImage({ program: source, outputPath: image, manifest: { Mounts: { "%1": "/workspace" } } });
  devnet = await startDevnet({ provider: "process", memGb: 4, numCpus: 8 });
  network = { rpcUrl: devnet.nodes[0].rpcUrl, keyFile: devnet.accounts[0].keyFile };
  const resources = { memMib: 256, cpus: 1 };
  const part = (name: string) => ({ name, file: image, resources });
  program = (await client().deploy({ name: "step", prover: part("step"), verifier: part("other") })).prover
    .hash;
  net = await createPipelineNet();
});
afterAll(async () => {
  await net?.[Symbol.asyncDispose]();
  await devnet?.close();
  rmSync(dir, { recursive: true, force: true });
});

const step = () => ({ program, args: ["{in}", "{out}"] });
const keys = () => ({ rpc_url: network.rpcUrl, key_file: network.keyFile });

test("a run whose segments are proved, and whose proof is checked, by a deployed program", async () => {
  const key = join(dir, "verifying.key");
  writeFileSync(key, "a key");
  const stage = await net.stage({ ...keys(), steps: { verify: step() }, proving_key_paths: [key] });
  const commands = await net.prover("commands", stage.addr, { can: ["split", "agg", "snark"] });
  await net.prover("programs", stage.addr, { ...keys(), steps: { prove: step() }, slots: 2 });
  expect(commands.nodeId).toBe("commands");
  const user = net.client(stage.addr);
  const asked = await user.submit({ public_input_stream: Buffer.from('{"segments":3}') });
  const end = await user.finished(asked.proof_id!);
  expect(end).toMatchObject({ status: 0, error_message: "" });
  const { items } = await client().listRuns();
  expect(items.length).toBe(4);
});

const prove = async (segment: object, options: { resumeFile?: string; signal?: AbortSignal } = {}) => {
  const folder = await createStepFolder(dir);
  writeFileSync(join(folder.input, "segment"), JSON.stringify(segment));
  const run = runProgram(
    network,
    {
      ...{ program, args: step().args, facts: { GEVULOT_STEP: "prove" }, answerFile: "proof" },
      signal: AbortSignal.timeout(60_000),
      ...options,
    },
    folder,
  );
  return { folder, run };
};

test("its own failure is the step's, with what it said", async () => {
  await expect((await prove({ ms: 0, fail: true })).run).rejects.toMatchObject({
    code: "STEP_FAILED",
    message: expect.stringMatching(/failed as run [0-9a-f]{64}: .*this segment can't be proved.*step prove/s),
  });
});

test("a node that was restarted waits for the Run that it sent before", async () => {
  const resumeFile = join(dir, "sent", "task-1");
  mkdirSync(join(dir, "sent"));
  const inputs = [
    { data: Buffer.from('{"ms":300}'), vmPath: "/workspace/in/segment" },
    { data: Buffer.from('{"GEVULOT_STEP":"prove"}'), vmPath: "/workspace/in/step.json" },
  ];
  const sent = await client().run({
    steps: [{ program, args: ["/workspace/in", "/workspace/out"], inputs }],
  });
  writeFileSync(resumeFile, sent.hash);
  const before = (await client().listRuns()).items.length;
  const { folder, run } = await prove({ ms: 0 }, { resumeFile });
  await run;
  expect((await client().listRuns()).items.length).toBe(before);
  expect(readFileSync(join(folder.output, "receipt"), "utf8")).toMatch(/^[0-9a-f]{64}$/);
  expect(readFileSync(join(folder.output, "proof"), "utf8")).toBe("proved");
  expect(() => readFileSync(resumeFile)).toThrow("ENOENT");
});

test("a cancelled step cancels its Run", async () => {
  const abort = new AbortController();
  const resumeFile = join(dir, "task-2");
  const { run } = await prove({ ms: 60_000 }, { resumeFile, signal: abort.signal });
  const ended = expect(run).rejects.toMatchObject({ code: "STEP_CANCELLED" });
  await expect.poll(() => readFileSync(resumeFile, "utf8")).toMatch(/^[0-9a-f]{64}$/);
  const hash = readFileSync(resumeFile, "utf8") as Hash;
  abort.abort();
  await ended;
  await expect.poll(async () => (await client().getRunStatus(hash)).failure?.code).toBe("CANCELLED");
});
