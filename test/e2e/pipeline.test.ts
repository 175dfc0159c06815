import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  createPipelineNet,
  createStageClient,
  FAST_PROVER,
  type PipelineNet,
  type StageClient,
} from "../fixtures/pipeline/pipelineNet.ts";

const SUCCESS = 0;
const COMPUTING = 2;

let net: PipelineNet;
let client: StageClient;
beforeAll(async () => {
  net = await createPipelineNet();
  process.env.FAST_SEGMENTS = "5";
  process.env.FAST_LOG = join(net.dir, "log");
  const verify = { command: [process.execPath, FAST_PROVER, "{in}", "{out}"] };
  const stage = await net.stage({ steps: { verify } });
  await net.prover("a", stage.addr);
  await net.prover("b", stage.addr);
  client = createStageClient(stage.addr);
});
afterAll(async () => {
  client.close();
  await net[Symbol.asyncDispose]();
});

describe("the pipeline with the fast prover", () => {
  it("splits, proves, aggregates, wraps and checks on two nodes without a shared disk", async () => {
    const answer = await client.submit({ public_input_stream: Buffer.from('{"segments":5}') });
    expect(answer).toMatchObject({ status: COMPUTING, error_message: "" });
    const end = await client.finished(answer.proof_id!);
    expect(end).toMatchObject({ status: SUCCESS, step: 5, total_steps: "5000" });
    expect(String(end.proof_with_public_inputs)).toMatch(/^proof:[0-9a-f]{64}$/);
    expect(String(end.output_stream)).toBe("made 5");
    const log = (await readFile(process.env.FAST_LOG!, "utf8")).trim().split("\n");
    const steps = log.map((line) => line.split(" ")[1]);
    const count = (step: string) => steps.filter((one) => one === step).length;
    expect(["split", "prove", "agg", "snark", "verify"].map(count)).toEqual([1, 5, 4, 1, 1]);
  });
});
