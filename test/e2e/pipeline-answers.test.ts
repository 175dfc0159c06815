import { join } from "node:path";
import { status as grpc } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  createExistingNode,
  type ExistingNode,
  type NodeAnswer,
  type NodeMethods,
} from "../fixtures/pipeline/existingNode.ts";
import { existingMethods } from "../fixtures/pipeline/existingWork.ts";
import { createPipelineNet, type PipelineNet, type StageClient } from "../fixtures/pipeline/pipelineNet.ts";

const STATUS = { SUCCESS: 0, SPLIT_ERROR: 5, PROVE_ERROR: 6, AGG_ERROR: 7, SNARK_ERROR: 8 };
const END_MS = 20_000;
const ok = { result: { code: 0, message: "" } };
const said = (code: number, message = "") => ({ result: { code, message } });

interface WrongAnswer {
  readonly at: string;
  readonly answer: NodeAnswer;
  readonly status: number;
  readonly reason: string;
}

/** By the `proof_id` of the run that gets it. */
const WRONG: Readonly<Record<string, WrongAnswer>> = {
  "no output": { at: "Prove", answer: ok, status: STATUS.PROVE_ERROR, reason: "OK without an output" },
  UNSPECIFIED: { at: "Aggregate", answer: said(4), status: STATUS.AGG_ERROR, reason: "UNSPECIFIED" },
  "segments that are not there": {
    at: "SplitElf",
    answer: { ...ok, total_steps: "7", total_segments: 5 },
    status: STATUS.SPLIT_ERROR,
    reason: "made 5 segments, but segment 0 is not in base_dir",
  },
  "bytes that are no answer": {
    at: "SnarkProof",
    answer: Buffer.from([0xff, 0xff]),
    status: STATUS.SNARK_ERROR,
    reason: "",
  },
  "a method that it lacks": {
    at: "Prove",
    answer: { code: grpc.UNIMPLEMENTED, details: "not in this build" },
    status: STATUS.PROVE_ERROR,
    reason: "not in this build",
  },
  "more than it can send": {
    at: "Prove",
    answer: { code: grpc.RESOURCE_EXHAUSTED, details: "too large" },
    status: STATUS.PROVE_ERROR,
    reason: "too large",
  },
  "BUSY for ever": { at: "Aggregate", answer: said(3), status: STATUS.AGG_ERROR, reason: "busy" },
  "no result": { at: "SnarkProof", answer: {}, status: STATUS.SNARK_ERROR, reason: "no result" },
  "more steps than there are": {
    at: "SplitElf",
    answer: { ...ok, total_steps: "18446744073709551615", total_segments: 2 },
    status: STATUS.SPLIT_ERROR,
    reason: "no run has 18446744073709551615 steps",
  },
  "a reason that no text of the database holds": {
    at: "Prove",
    answer: said(2, `a\0b${"c".repeat(10_000)}`),
    status: STATUS.PROVE_ERROR,
    reason: "a bccc",
  },
  "no steps": {
    at: "SplitElf",
    answer: { ...ok, total_steps: "0", total_segments: 2 },
    status: STATUS.SPLIT_ERROR,
    reason: "steps",
  },
};

let net: PipelineNet;
let node: ExistingNode;
let client: StageClient;
const calls: { readonly run: string; readonly method: string }[] = [];
const callsOf = (run: string) => calls.filter((call) => call.run === run).map(({ method }) => method);

beforeAll(async () => {
  net = await createPipelineNet();
  const methods = Object.entries(existingMethods(join(net.dir, "stage"))).map(
    ([name, good]): [string, NodeMethods[string]] => [
      name,
      (request) => {
        calls.push({ run: request.proof_id, method: name });
        const wrong = WRONG[request.proof_id];
        return wrong?.at === name ? wrong.answer : good(request);
      },
    ],
  );
  node = await createExistingNode(Object.fromEntries(methods));
  const limits = { max_attempts: 1, deadline_seconds: { agg: 1 } };
  const stage = await net.stage({ prover_addrs: [node.addr], ...limits });
  client = net.client(stage.addr);
  for (const proof_id of [...Object.keys(WRONG), "good"]) await client.submit({ proof_id });
});
afterAll(async () => {
  await net?.[Symbol.asyncDispose]();
  await node?.[Symbol.asyncDispose]();
});

describe("a node that is not ours", () => {
  it("does a run, beside others that it spoils", async () => {
    const end = await client.finished("good", END_MS);
    expect(end).toMatchObject({ status: STATUS.SUCCESS, total_steps: "7" });
    expect(String(end.proof_with_public_inputs)).toBe("wrap(final-agg(p0,p1))");
    expect(callsOf("good")).toEqual(["SplitElf", "Prove", "Prove", "Aggregate", "SnarkProof"]);
  });

  it.each(Object.keys(WRONG))("is named where it answers with %s", async (id) => {
    const { status, reason } = WRONG[id]!;
    const end = await client.finished(id, END_MS);
    expect(end).toMatchObject({ status });
    expect(end.error_message).toContain(` failed on ${node.addr}: `);
    expect(end.error_message).toContain(reason);
  });
});

describe("a node that is always BUSY", () => {
  it("leaves its work to another", async () => {
    const url = { database_url: await net.postgres.createDatabase("busy"), base_dir: join(net.dir, "busy") };
    const good = existingMethods(url.base_dir);
    const busy = Object.keys(good).map((name): [string, NodeMethods[string]] => [name, () => said(3)]);
    await using refusing = await createExistingNode(Object.fromEntries(busy));
    await using willing = await createExistingNode(good);
    const listed = { prover_addrs: [refusing.addr, willing.addr], snark_addrs: [willing.addr] };
    await using stage = await net.stage({ ...url, ...listed });
    const other = net.client(stage.addr);
    const { proof_id: id } = await other.submit();
    expect(await other.finished(id!)).toMatchObject({ status: STATUS.SUCCESS });
    expect(refusing.calls.length).toBeLessThan(50);
    expect(refusing.calls).not.toContain("SnarkProof");
  });
});
