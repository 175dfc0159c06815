import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Client, credentials } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { signedText } from "../../devnet/src/pipeline/admit/requestSignature.ts";
import type { StepRunner } from "../../devnet/src/pipeline/steps/stepRunner.ts";
import { addUser } from "../../devnet/src/pipeline/store/users.ts";
import { loadProtos } from "../../devnet/src/pipeline/wire/protos.ts";
import { createEthereumKey } from "../../sdk/src/pipeline/ethereumKey.ts";
import { createPipelineNet, type PipelineNet } from "../fixtures/pipeline/pipelineNet.ts";
import { signRequest } from "../fixtures/pipeline/signRequest.ts";

const OTHER_KEY = new Uint8Array(32).fill(9);
const count = (segments: number) => ({
  composite_proof: true,
  public_input_stream: Buffer.from(String(segments)),
});

let net: PipelineNet;
let begun: string[] = [];
beforeEach(async () => {
  begun = [];
  net = await createPipelineNet();
});
afterEach(async () => {
  await net[Symbol.asyncDispose]();
});

/** Splits into as many segments as the public input says, and proves after a while. */
const simulate =
  (node: string, proveMs: number): StepRunner =>
  async (_step, { input, output }, { facts, signal }) => {
    const { GEVULOT_STEP: step, GEVULOT_PROOF_ID: run, GEVULOT_INDEX: index } = facts;
    begun.push(`${node} ${step} ${run} ${index ?? ""}`.trim());
    if (step === "prove") {
      await delay(proveMs, undefined, { signal });
      return writeFile(
        join(output, "receipt"),
        `receipt of ${await readFile(join(input, "segment"), "utf8")}`,
      );
    }
    const segments = Number(await readFile(join(input, "public_input"), "utf8"));
    for (let at = 0; at < segments; at += 1) await writeFile(join(output, "segments", String(at)), `${at}`);
    await writeFile(join(output, "total_steps"), "1");
  };
const provesOf = (run: string) => begun.filter((line) => line.includes(`prove ${run}`));

async function attemptsOf(run: string): Promise<string[]> {
  const { rows } = await net.database.query<{ line: string }>(
    `select concat_ws(' ', key, node, outcome, attempt.error) as line from pipeline_attempt as attempt
     join prove_task as task on task.id = task_id where proof_id = $1 order by attempt.id`,
    [run],
  );
  return rows.map(({ line }) => line);
}

describe("nodes and users that get in each other's way", () => {
  it("takes an answer that comes late for nothing, and the other node's for the result", async () => {
    const stage = await net.stage({ deadline_seconds: { prove: 4 } });
    const slow = await net.prover("slow", stage.addr, {}, simulate("slow", 600_000));
    const client = net.client(stage.addr);
    const { proof_id: run } = await client.submit(count(1));
    await expect.poll(() => provesOf(run!)).toHaveLength(1);
    await net.prover("quick", stage.addr, {}, simulate("quick", 0));
    expect(await client.finished(run!)).toMatchObject({ status: 0 });
    expect(await attemptsOf(run!)).toEqual([
      "split slow done",
      "prove/0 slow late no answer within 4 s",
      "prove/0 quick done",
    ]);
    // It was told to stop, as nobody waits for it.
    await expect.poll(slow.running).toEqual([]);
  });

  it("a node that drains gives back what waits there, and ends what it began", async () => {
    const stage = await net.stage();
    const leaving = await net.prover("leaving", stage.addr, {}, simulate("leaving", 800));
    const client = net.client(stage.addr);
    const { proof_id: run } = await client.submit(count(5));
    // One is done, so that the next waits there already.
    await expect.poll(() => leaving.running().length).toBe(2);
    leaving.drain();
    await expect.poll(() => leaving.running().length).toBe(0);
    await net.prover("staying", stage.addr, {}, simulate("staying", 0));
    expect(await client.finished(run!)).toMatchObject({ status: 0 });
    const attempts = await attemptsOf(run!);
    expect(attempts.join("\n")).toMatch(/prove\/\d leaving busy draining/);
    // Each once, as a task that waits has not begun.
    expect(new Set(provesOf(run!).map((line) => line.split(" ").at(-1))).size).toBe(5);
    expect(provesOf(run!)).toHaveLength(5);
  });

  it("shares the nodes between users, however much one of them asks for", async () => {
    const stage = await net.stage();
    await net.prover("a", stage.addr, {}, simulate("a", 50));
    const client = net.client(stage.addr);
    const first = await client.submit(count(60));
    await expect.poll(() => provesOf(first.proof_id!).length).toBeGreaterThan(3);
    const request = { proof_id: crypto.randomUUID(), seg_size: 131_072, ...count(6) };
    const other = createEthereumKey(OTHER_KEY);
    await addUser(net.database, other.address);
    const signature = other.sign(signedText({ proofId: request.proof_id, segSize: request.seg_size }));
    const before = provesOf(first.proof_id!).length;
    await client.submit({ ...request, signature });
    expect(await client.finished(request.proof_id)).toMatchObject({ status: 0 });
    // What was in the queue already, and then turn by turn.
    expect(provesOf(first.proof_id!).length - before).toBeLessThan(30);
    expect(await client.finished(first.proof_id!)).toMatchObject({ status: 0 });
  });

  it("cleans up what a killed process of a node left", async () => {
    const stage = await net.stage();
    const first = await net.prover("a", stage.addr, {}, simulate("a", 0));
    const client = net.client(stage.addr);
    await client.finished((await client.submit(count(1))).proof_id!);
    await first[Symbol.asyncDispose]();
    const [own] = await readdir(join(net.dir, "a", "work"));
    const left = join(net.dir, "a", "work", own!, "gevulot-step-left");
    await mkdir(join(left, "in"), { recursive: true });
    await net.prover("a", stage.addr, {}, simulate("a", 0));
    await expect(readdir(left)).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("reads requests that are packed with gzip", async () => {
    const stage = await net.stage();
    await net.prover("a", stage.addr, {}, simulate("a", 0));
    const packing = net.closing(
      new Client(stage.addr, credentials.createInsecure(), { "grpc.default_compression_algorithm": 2 }),
    );
    const { path, requestSerialize, responseDeserialize } = loadProtos().stage.GenerateProof!;
    const request = {
      ...{ proof_id: crypto.randomUUID(), seg_size: 131_072, elf_data: Buffer.alloc(2 ** 20) },
      ...count(2),
    };
    const answer = await new Promise((resolve, reject) =>
      packing.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        { ...request, signature: signRequest(request) },
        (error, value) => (error ? reject(error) : resolve(value)),
      ),
    );
    expect(answer).toMatchObject({ status: 2, proof_id: request.proof_id });
    expect(await net.client(stage.addr).finished(request.proof_id)).toMatchObject({ status: 0 });
  });
});
