import { existsSync, readFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { StepRunner } from "../../devnet/src/pipeline/steps/stepRunner.ts";
import { createPipelineNet, type PipelineNet, type StageClient } from "../fixtures/pipeline/pipelineNet.ts";
import { createReadableProver } from "../fixtures/pipeline/readableProver.ts";

const STEP = { Agg: 3, Snark: 5, End: 6 };
const SUCCESS = 0;
const bytes = (text: string) => Buffer.from(text);
const work = (segments: number) => ({ public_input_stream: bytes(JSON.stringify({ segments })) });
const TREE_OF_FIVE = "final-agg(agg(agg(p0,p1),agg(p2,p3)),p4)";

let net: PipelineNet;
let client: StageClient;
/** zkm2. */
let second: StageClient;
let steps: string[] = [];
const checks = (): string[] => readFileSync(join(net.dir, "checks"), "utf8").trim().split("\n");

beforeAll(async () => {
  net = await createPipelineNet();
  // Writes down what it was given, and takes all for valid.
  const script = `echo "$GEVULOT_KIND $(cat $1/proof) of $(cat $1/public_input)" >>${join(net.dir, "checks")}`;
  const verify = { command: ["sh", "-c", script, "verify", "{in}"] };
  const stage = await net.stage({
    steps: { verify },
    fileserver_url: "http://127.0.0.1:1",
  });
  const url = await net.postgres.createDatabase("zkm2");
  const base = { base_dir: join(net.dir, "zkm2"), database_url: url };
  const other = await net.stage({ prover_version: "zkm2", ...base });
  const readable = createReadableProver({ onStep: (line) => steps.push(line.split(" ")[0]!) });
  const run: StepRunner = async (step, folder, options) => {
    await readable(step, folder, options);
    const hasReceipts = existsSync(join(folder.input, "receipt_inputs"));
    if (options.facts.GEVULOT_STEP === "split" && !hasReceipts)
      await writeFile(join(folder.output, "deferred", "0"), "of no receipt");
  };
  for (const { addr } of [stage, other]) await net.prover("a", addr, {}, run);
  client = net.client(stage.addr);
  second = net.client(other.addr);
});
afterAll(() => net?.[Symbol.asyncDispose]());

async function runTo(request: object, through = client) {
  steps = [];
  const answer = await through.submit(request);
  expect(answer.error_message).toBe("");
  const end = await through.finished(answer.proof_id!);
  const counts: Record<string, number> = {};
  for (const step of steps) counts[step] = (counts[step] ?? 0) + 1;
  return { end, counts, proof: String(end.proof_with_public_inputs), id: answer.proof_id! };
}

describe("where a run begins and ends", () => {
  it("target Agg: the last aggregation is the result, also where the wrap's proof would lie", async () => {
    const { end, counts, proof, id } = await runTo({ ...work(5), target_step: STEP.Agg });
    expect(end).toMatchObject({ status: SUCCESS, step: STEP.End, error_message: "", total_steps: "7" });
    expect(proof).toBe(TREE_OF_FIVE);
    expect(counts).toEqual({ split: 1, prove: 5, agg: 4 });
    expect(end).toMatchObject({
      snark_proof_url: `http://127.0.0.1:1/${id}/snark/proof_with_public_inputs.json`,
      stark_proof_url: "",
      public_values_url: `http://127.0.0.1:1/${id}/wrap/public_values.json`,
    });
    const folder = join(net.dir, "stage", "proof", id);
    expect(await readFile(join(folder, "snark", "proof_with_public_inputs.json"), "utf8")).toBe(proof);
    expect(await readFile(join(folder, "wrap", "public_values.json"), "utf8")).toBe('{"segments":5}');
    expect(checks()).toContain(`agg ${proof} of {"segments":5}`);
  });

  it("from Agg: wraps the receipt that came with the request, and checks the proof", async () => {
    const receipts = { from_step: STEP.Agg, receipt_inputs: [bytes(TREE_OF_FIVE)] };
    const { end, counts, proof } = await runTo({ ...work(5), ...receipts });
    expect(end).toMatchObject({ status: SUCCESS, step: STEP.Snark });
    expect(proof).toBe(`wrap(${TREE_OF_FIVE})`);
    expect(counts).toEqual({ snark: 1 });
    expect(checks()).toContain(`snark ${proof} of {"segments":5}`);
    // Nothing else is left to do, wherever the request says to end.
    for (const change of [{ target_step: STEP.Agg }, { composite_proof: true }]) {
      const again = await runTo({ ...work(5), ...receipts, ...change });
      expect(again).toMatchObject({ proof, end: { step: STEP.Snark } });
    }
  });

  it("single_node: one call does it all", async () => {
    const given = { single_node: true, private_input_stream: bytes("secret"), receipt_inputs: [bytes("r")] };
    const { end, counts, proof } = await runTo({ ...work(5), ...given });
    expect(end).toMatchObject({ status: SUCCESS, step: STEP.Snark, total_steps: "7" });
    expect(proof).toBe('single(an ELF,{"segments":5},secret)');
    expect(counts).toEqual({ single: 1 });
    expect(checks()).toContain(`single ${proof} of {"segments":5}`);
    expect((await runTo({ ...work(5), ...given, composite_proof: true })).proof).toBe(proof);
  });

  it("one segment is wrapped as it is; URLs are of what is there", async () => {
    const { proof, counts, end, id } = await runTo(work(1));
    expect(end).toMatchObject({
      snark_proof_url: `http://127.0.0.1:1/${id}/snark/proof_with_public_inputs.json`,
      stark_proof_url: "",
    });
    expect(proof).toBe("wrap(p0)");
    expect(counts).toEqual({ split: 1, prove: 1, snark: 1 });
  });

  it("zkm: receipts of other runs reach each prove", async () => {
    const { proof } = await runTo({ ...work(2), receipt_inputs: [bytes("r"), bytes("s")] });
    expect(proof).toBe("wrap(final-agg(p0+r+s,p1+r+s))");
  });

  it("zkm2: each segment, and what the split leaves of other runs, is made a leaf with the key of the split", async () => {
    const { end, proof } = await runTo({ ...work(3), receipt_inputs: [bytes("r")] }, second);
    expect(end).toMatchObject({ status: SUCCESS, step: STEP.Snark });
    expect(proof).toBe(
      "wrap(final-agg(agg(first(p0,key),leaf(p1,key)),agg(leaf(p2,key),deferred(d(r),key))))",
    );
  });

  it("zkm2: a lone leaf is the final one, and deferred proofs of no receipt are none", async () => {
    expect((await runTo(work(1), second)).proof).toBe("wrap(final-first(p0,key))");
  });
});
