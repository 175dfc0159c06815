import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { status as grpcStatus } from "@grpc/grpc-js";
import { createPipelineClient } from "gevulot-sdk/pipeline";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createPipelineNet, FAST_PROVER, type PipelineNet } from "../fixtures/pipeline/pipelineNet.ts";
import { signRequest, USER, USER_KEY } from "../fixtures/pipeline/signRequest.ts";

const STATUS = {
  SUCCESS: 0,
  COMPUTING: 2,
  INVALID_PARAMETER: 3,
  SPLIT_ERROR: 5,
  PROVE_ERROR: 6,
  SNARK_ERROR: 8,
};
const STEPS = ["split", "prove", "agg", "snark"] as const;
const fast = (...env: string[]) => ({
  command: ["env", ...env, process.execPath, FAST_PROVER, "{in}", "{out}"],
});
const FIVE = { public_input_stream: Buffer.from('{"segments":5}') };

let net: PipelineNet;
beforeEach(async () => {
  net = await createPipelineNet();
});
afterEach(async () => {
  await net[Symbol.asyncDispose]();
});

async function startStage(change: Parameters<PipelineNet["stage"]>[0] = {}) {
  const stage = await net.stage({ steps: { verify: fast() }, ...change });
  return { stage, client: net.client(stage.addr) };
}

/** A node whose steps run with these variables. */
const startNode = (name: string, stageAddr: string, ...env: string[]) => {
  const steps = Object.fromEntries(
    STEPS.map((step) => [step, fast(`FAST_LOG=${join(net.dir, "log")}`, ...env)]),
  );
  return net.prover(name, stageAddr, { steps });
};

async function countSteps(): Promise<Record<string, number>> {
  const lines = (await readFile(join(net.dir, "log"), "utf8")).trim().split("\n");
  const counts: Record<string, number> = {};
  for (const line of lines) counts[line.split(" ")[1]!] = (counts[line.split(" ")[1]!] ?? 0) + 1;
  return counts;
}

describe("the pipeline with the fast prover", () => {
  it("splits, proves, aggregates, wraps and checks on two nodes without a shared disk", async () => {
    const { stage, client } = await startStage();
    await startNode("a", stage.addr);
    await startNode("b", stage.addr);
    const answer = await client.submit(FIVE);
    expect(answer).toMatchObject({ status: STATUS.COMPUTING, error_message: "" });
    const end = await client.finished(answer.proof_id!);
    expect(end).toMatchObject({ status: STATUS.SUCCESS, step: 5, total_steps: "5000", error_message: "" });
    expect(String(end.proof_with_public_inputs)).toMatch(/^proof:[0-9a-f]{64}$/);
    expect(String(end.output_stream)).toBe("made 5");
    expect(Number(end.proving_time)).toBeGreaterThan(0);
    expect(await countSteps()).toEqual({ split: 1, prove: 5, agg: 4, snark: 1 });
  });

  it("ends where the request says", async () => {
    const { stage, client } = await startStage();
    await startNode("a", stage.addr);
    const run = async (request: object) =>
      client.finished((await client.submit({ ...FIVE, ...request })).proof_id!);
    expect(await run({ target_step: 1 })).toMatchObject({ status: STATUS.SUCCESS, step: 6 });
    expect(await countSteps()).toEqual({ split: 1 });
    expect(await run({ composite_proof: true })).toMatchObject({ status: STATUS.SUCCESS, step: 6 });
    expect(await countSteps()).toEqual({ split: 2, prove: 5 });
    const given = await run({
      from_step: 3,
      receipt_inputs: [Buffer.from("a receipt")],
      public_input_stream: Buffer.alloc(0),
    });
    // The check expects the proof of five segments, which a foreign receipt isn't.
    expect(given).toMatchObject({ status: STATUS.SNARK_ERROR });
    expect(given.error_message).toContain("it is not of these segments");
  });

  it("answers a repeated request like the first, refuses another under its id, and knows no strangers", async () => {
    const { client } = await startStage();
    const first = { ...FIVE, proof_id: randomUUID() };
    expect(await client.submit(first)).toMatchObject({ status: STATUS.COMPUTING, proof_id: first.proof_id });
    expect(await client.submit(first)).toMatchObject({ status: STATUS.COMPUTING, proof_id: first.proof_id });
    const other = await client.submit({ ...first, public_input_stream: Buffer.from("{}") });
    expect(other).toMatchObject({ status: STATUS.INVALID_PARAMETER });
    expect(other.error_message).toContain("proof_id is taken");
    await expect(client.status(randomUUID())).rejects.toMatchObject({ code: grpcStatus.NOT_FOUND });
  });

  it("refuses with the contract's texts, in answers that are no gRPC errors", async () => {
    const { client } = await startStage();
    const refusal = async (request: object) => (await client.submit(request)).error_message;
    expect(await refusal({ seg_size: 1_000 })).toBe("invalid seg_size support [1024-4194304]");
    expect(await refusal({ signature: "00" })).toBe("invalid signature");
    const stranger = signRequest({ proof_id: "another", seg_size: 131_072 });
    expect(await refusal({ signature: stranger })).toBe("permission denied");
    expect(await refusal({ elf_data: Buffer.alloc(0) })).toBe("elf_data or elf_id should not be empty");
    expect(await refusal({ elf_data: Buffer.alloc(0), elf_id: "0xab" })).toBe("elf_id not found");
    expect(await refusal({ proof_id: "../../etc" })).toContain("invalid proof_id");
  });

  it("repeats a failed prove on another node", async () => {
    const { stage, client } = await startStage();
    await startNode("bad", stage.addr, "FAST_FAIL=prove");
    await startNode("good", stage.addr);
    const end = await client.finished((await client.submit(FIVE)).proof_id!);
    expect(end).toMatchObject({ status: STATUS.SUCCESS });
  });

  it("ends a run whose step fails everywhere, with the stage, the step, the nodes and the reason", async () => {
    const { stage, client } = await startStage({ max_attempts: 2 });
    await startNode("a", stage.addr, "FAST_FAIL=prove");
    const end = await client.finished((await client.submit(FIVE)).proof_id!);
    expect(end).toMatchObject({ status: STATUS.PROVE_ERROR, step: 2 });
    expect(end.error_message).toMatch(/^the proof of segment \d failed on a: .*told to fail at prove$/);
  });

  it("names the node that lies about a result", async () => {
    const { stage, client } = await startStage();
    await startNode("honest", stage.addr);
    await startNode("liar", stage.addr, "FAST_LIE=1");
    const end = await client.finished((await client.submit(FIVE)).proof_id!);
    expect(end).toMatchObject({ status: STATUS.PROVE_ERROR, step: 2 });
    expect(end.error_message).toMatch(/^the proof of segment \d by node liar is not valid/);
  });

  it("takes work back from a node that is gone, and computes nothing twice that was finished", async () => {
    const { stage, client } = await startStage();
    const { proof_id: id } = await client.submit({
      public_input_stream: Buffer.from('{"segments":5,"ms":300}'),
    });
    const going = await startNode("going", stage.addr);
    await startNode("staying", stage.addr);
    await expect.poll(() => countSteps().catch(() => ({}))).toMatchObject({ prove: 2 });
    await going[Symbol.asyncDispose]();
    expect(await client.finished(id!)).toMatchObject({ status: STATUS.SUCCESS });
    const counts = await countSteps();
    // At most what ran there when it went.
    expect(counts.prove).toBeLessThanOrEqual(6);
  });

  it("lists, shows, cancels and retries by the SDK, for the user whose runs they are", async () => {
    const { stage, client } = await startStage({ api_addr: "127.0.0.1:0", max_attempts: 1 });
    const url = `http://127.0.0.1:${stage.apiPort}`;
    const user = createPipelineClient({ url, key: USER_KEY });
    const stranger = createPipelineClient({ url, key: new Uint8Array(32).fill(7) });
    const elf = new TextEncoder().encode("an ELF");
    const run = await user.submit({ elf, publicInput: new TextEncoder().encode('{"segments":5}') });
    expect(run).toMatchObject({ status: "COMPUTING", segments: null });
    expect(await user.submit({ elf, publicInput: FIVE.public_input_stream, proofId: run.proofId })).toEqual(
      run,
    );
    expect((await user.list()).map((one) => one.proofId)).toEqual([run.proofId]);
    await expect(stranger.status(run.proofId)).rejects.toThrow("pipeline user add");
    await expect(user.status(randomUUID())).rejects.toMatchObject({ context: { status: 404 } });
    await expect(user.retry(run.proofId)).rejects.toThrow("nothing to retry");

    expect(await user.cancel(run.proofId)).toMatchObject({
      status: "INTERNAL_ERROR",
      error: `cancelled by ${USER}`,
    });
    expect(await user.list({ state: "running" })).toEqual([]);
    await expect(user.wait(run.proofId, { timeoutMs: 150_000 })).rejects.toMatchObject({
      code: "PIPELINE_FAILED",
    });

    // Fails at the wrap, then goes on there.
    const bad = await startNode("bad", stage.addr, "FAST_FAIL=snark");
    await user.retry(run.proofId);
    await expect(user.wait(run.proofId, { timeoutMs: 150_000 })).rejects.toThrow("task snark failed on bad");
    await bad[Symbol.asyncDispose]();
    await startNode("good", stage.addr);
    await user.retry(run.proofId);
    const done = await user.wait(run.proofId, { timeoutMs: 150_000 });
    expect(done).toMatchObject({ status: "SUCCESS", segments: 5 });
    expect(done.tasks.find((task) => task.key === "prove/4")).toMatchObject({ state: "done", node: "bad" });
    expect(done.tasks.find((task) => task.key === "snark")).toMatchObject({ state: "done", node: "good" });
    expect(await countSteps()).toEqual({ split: 1, prove: 5, agg: 4, snark: 2 });
    expect(Buffer.from(await user.result(done))).toEqual(
      (await client.status(run.proofId)).proof_with_public_inputs,
    );
  });

  it("goes on after a restart of the stage", async () => {
    const { stage, client } = await startStage();
    await startNode("a", stage.addr);
    const { proof_id: id } = await client.submit(FIVE);
    await expect.poll(() => countSteps().catch(() => ({}))).toMatchObject({ prove: 2 });
    await stage[Symbol.asyncDispose]();
    const { client: next } = await startStage({ addr: stage.addr });
    expect(await next.finished(id!)).toMatchObject({ status: STATUS.SUCCESS });
    const counts = await countSteps();
    expect(counts).toMatchObject({ split: 1, snark: 1 });
    expect(counts.prove! + counts.agg!).toBeLessThanOrEqual(10);
  });
});
