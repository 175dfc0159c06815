import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createPipelineClient, type PipelineClient } from "gevulot-sdk/pipeline";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createPipelineNet, type PipelineNet, type StageClient } from "../fixtures/pipeline/pipelineNet.ts";
import { createReadableProver, type Misdeed } from "../fixtures/pipeline/readableProver.ts";
import { USER_KEY } from "../fixtures/pipeline/signRequest.ts";

const SUCCESS = 0;
const SPLIT_ERROR = 5;
const STEP_SPLIT = 1;
const TWO = { public_input_stream: Buffer.from('{"segments":2}') };
const RIGHT = "wrap(final-agg(p0,p1))";

let net: PipelineNet;
let client: StageClient;
let user: PipelineClient;
let stageAddr: string;

beforeAll(async () => {
  net = await createPipelineNet();
  // What says that it is of a segment is valid for that; the finished proof must be of the request.
  const script = `grep -q p "$1/proof" && { test ! -e "$1/public_input" || grep -qxF "$2" "$1/proof"; }`;
  const stage = await net.stage({
    api_addr: "127.0.0.1:0",
    max_attempts: 2,
    steps: { verify: { command: ["sh", "-c", script, "verify", "{in}", RIGHT] } },
  });
  stageAddr = stage.addr;
  client = net.client(stageAddr);
  user = createPipelineClient({ url: `http://127.0.0.1:${stage.apiPort}`, key: USER_KEY });
});
afterAll(() => net?.[Symbol.asyncDispose]());

const leaveSegments = async (output: string, count: number): Promise<void> => {
  for (let index = 0; index < count; index += 1) {
    const text = JSON.stringify({ index: index + 7, ms: 0, pad: 0 });
    await writeFile(join(output, `segments/.${index}`), text);
    await rename(join(output, `segments/.${index}`), join(output, `segments/${index}`));
  }
};

/** One run with these nodes; the first has splits for itself until it failed. */
async function runWith(nodes: Record<string, Misdeed | null>) {
  const answer = await client.submit(TWO);
  const started = [];
  for (const [name, split] of Object.entries(nodes)) {
    const run = createReadableProver(split === null ? {} : { instead: { split } });
    // Who lies about the split does nothing else.
    const change = name === "lying" ? { can: ["split" as const] } : {};
    started.push(await net.prover(name, stageAddr, change, run));
    if (started.length === 1 && Object.keys(nodes).length > 1)
      await expect.poll(() => attempts(answer.proof_id!)).not.toBe("");
  }
  const end = await client.finished(answer.proof_id!);
  for (const node of started) await node[Symbol.asyncDispose]();
  return { end, id: answer.proof_id!, proof: String(end.proof_with_public_inputs) };
}

async function attempts(run: string): Promise<string> {
  const { rows } = await net.database.query<{ line: string }>(
    `select concat_ws(' ', key, node, outcome, attempt.error) as line from pipeline_attempt as attempt
     join prove_task as task on task.id = task_id where proof_id = $1 and outcome is not null order by attempt.id`,
    [run],
  );
  return rows.map(({ line }) => line).join("\n");
}

describe("splits that fail or lie", () => {
  it("a split that breaks off after wrong segments spoils nothing", async () => {
    const breaks: Misdeed = async (output) => {
      await leaveSegments(output, 1);
      await new Promise((resolve) => setTimeout(resolve, 300));
      throw new Error("the disk is full");
    };
    const { end, proof } = await runWith({ breaking: breaks, good: null });
    expect(end).toMatchObject({ status: SUCCESS, error_message: "" });
    expect(proof).toBe(RIGHT);
  });

  it("a split that fails everywhere ends the run, which says so", async () => {
    const fails: Misdeed = async () => {
      throw new Error("no such guest");
    };
    const { end } = await runWith({ one: fails, two: fails });
    expect(end).toMatchObject({ status: SPLIT_ERROR, step: STEP_SPLIT });
    expect(end.error_message).toMatch(/^task split failed on one, two: .*no such guest/);
  });

  it("a split without segments is none", async () => {
    const { end } = await runWith({ lazy: (output) => writeFile(join(output, "total_steps"), "7") });
    expect(end).toMatchObject({ status: SPLIT_ERROR, step: STEP_SPLIT });
    expect(end.error_message).toMatch(/^task split failed on lazy: .*no segments/);
  });

  it("a split with a gap is none", async () => {
    const skips: Misdeed = async (output) => {
      for (const index of [0, 2]) await writeFile(join(output, `segments/${index}`), "{}");
      await writeFile(join(output, "total_steps"), "7");
    };
    const { end } = await runWith({ skipping: skips });
    expect(end).toMatchObject({ status: SPLIT_ERROR, step: STEP_SPLIT });
    expect(end.error_message).toContain("out/segments has 2, but no 1");
  });

  it("a split of something else is blamed on its node, not on those that proved it", async () => {
    const lies: Misdeed = async (output) => {
      await leaveSegments(output, 2);
      await writeFile(join(output, "total_steps"), "7");
    };
    const { end } = await runWith({ lying: lies, honest: null });
    expect(end).toMatchObject({ status: SPLIT_ERROR, step: STEP_SPLIT });
    expect(end.error_message).toMatch(/^task split by node lying is not valid/);
  });
});

describe("a retry after a lie", () => {
  /** Proves wrongly while it is told to. */
  const startNode = (name: string, lies: () => boolean) => {
    const right = createReadableProver();
    const wrong = createReadableProver({
      instead: { prove: (output) => writeFile(join(output, "receipt"), "a lie") },
    });
    return net.prover(name, stageAddr, {}, (...step) => (lies() ? wrong : right)(...step));
  };

  it("goes on from what is right, at other nodes, of which none is blamed", async () => {
    await using _liar = await startNode("liar", () => true);
    const { proof_id: id } = await client.submit(TWO);
    const failed = await client.finished(id!);
    expect(failed.error_message).toMatch(/^the proof of segment \d by node liar is not valid/);
    await using _honest = await startNode("honest", () => false);
    // Each time one more lie is found: the other segment's.
    for (let retries = 0; retries < 2; retries += 1) {
      await user.retry(id!);
      if ((await client.finished(id!)).status === SUCCESS) break;
    }
    const { tasks } = await user.status(id!);
    expect(String((await client.status(id!)).proof_with_public_inputs)).toBe(RIGHT);
    const proves = tasks.filter(({ key }) => key.startsWith("prove/"));
    expect(proves.map(({ node }) => node)).toEqual(["honest", "honest"]);
    expect(tasks.find(({ key }) => key === "split")).toMatchObject({ node: "liar" });
  });

  it("asks the only node anew, instead of taking the answer that it kept", async () => {
    let lies = true;
    await using _node = await startNode("mended", () => lies);
    const { proof_id: id } = await client.submit(TWO);
    expect((await client.finished(id!)).error_message).toContain("by node mended is not valid");
    lies = false;
    for (let retries = 0; retries < 2; retries += 1) {
      await user.retry(id!);
      if ((await client.finished(id!)).status === SUCCESS) break;
    }
    expect(String((await client.status(id!)).proof_with_public_inputs)).toBe(RIGHT);
  });
});
