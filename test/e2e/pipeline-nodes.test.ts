import { join } from "node:path";
import { Client, credentials, status } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createNodePool, type NodePoolOptions } from "../../devnet/src/pipeline/nodes/nodePool.ts";
import { loadProtos } from "../../devnet/src/pipeline/wire/protos.ts";
import { createDatabase } from "../../devnet/src/store/database.ts";
import { freePort } from "../../devnet/src/up/ports.ts";
import { createExistingNode } from "../fixtures/pipeline/existingNode.ts";
import { existingMethods } from "../fixtures/pipeline/existingWork.ts";
import { createPipelineNet, type PipelineNet, quiet } from "../fixtures/pipeline/pipelineNet.ts";
import { createReadableProver } from "../fixtures/pipeline/readableProver.ts";

const SUCCESS = 0;
const COMPUTING = 2;
const SNARK_ERROR = 8;
const TWO = { public_input_stream: Buffer.from('{"segments":2}') };

let net: PipelineNet;
beforeAll(async () => {
  net = await createPipelineNet();
});
afterAll(() => net?.[Symbol.asyncDispose]());

/** A stage with a database and a base folder of its own. */
async function stageOf(name: string, change: Parameters<PipelineNet["stage"]>[0] = {}) {
  const own = { database_url: await net.postgres.createDatabase(name), base_dir: join(net.dir, name) };
  return { own, stage: await net.stage({ ...own, ...change }) };
}

function poolOf(options: NodePoolOptions) {
  const deps = { log: quiet, protos: loadProtos(), credentials: credentials.createInsecure() };
  return createNodePool({ ...deps, now: Date.now, onRoom: () => {} }, options);
}

describe("which nodes get work", () => {
  it("says while a run goes on that no node can do its step, and why; one that can does it", async () => {
    const { stage } = await stageOf("needs", { needs: { prove: { gpu: 1 } } });
    const client = net.client(stage.addr);
    const { proof_id: id } = await client.submit(TWO);
    const waiting = async () => (await client.status(id!)).error_message;
    await expect.poll(waiting).toMatch(/^no node is here that does split: start one/);
    await using _small = await net.prover("small", stage.addr, {}, createReadableProver());
    await expect.poll(waiting).toBe("no node has what [needs.prove] asks for: small lacks gpu 1 (has 0)");
    expect(await client.status(id!)).toMatchObject({ status: COMPUTING });
    const proved: string[] = [];
    await using _large = await net.prover(
      "large",
      stage.addr,
      { gpu: 1 },
      createReadableProver({ onStep: (step) => proved.push(step) }),
    );
    expect(await client.finished(id!)).toMatchObject({ status: SUCCESS, error_message: "" });
    expect(proved).toEqual(expect.arrayContaining(["prove 0", "prove 1"]));
  });

  it("those that know the stage's node_token; others are told what to set", async () => {
    const token = "known-to-few-nodes";
    const { own, stage } = await stageOf("token", { node_token: token });
    const raw = net.closing(new Client(stage.addr, credentials.createInsecure()));
    const { path, requestSerialize, responseDeserialize } = loadProtos().stageData.Has!;
    const refusal = await new Promise((resolve) => {
      raw.makeUnaryRequest(path, requestSerialize, responseDeserialize, { sha256: [] }, resolve);
    });
    expect(refusal).toMatchObject({
      ...{ code: status.UNAUTHENTICATED, details: expect.stringContaining("set the same node_token") },
    });
    await using _stranger = await net.prover("stranger", stage.addr, { node_token: `${token}-not` });
    await using _known = await net.prover("known", stage.addr, { node_token: token });
    const client = net.client(stage.addr);
    const { proof_id: id } = await client.submit(TWO);
    expect(await client.finished(id!)).toMatchObject({ status: SUCCESS });
    await using database = await createDatabase({ log: quiet }, { url: own.database_url });
    const { rows } = await database.query("select distinct node_info from prove_task");
    expect(rows).toEqual([{ node_info: "known" }]);
  });

  it("a listed node that registers too is one node, by its address or by its name", async () => {
    await using listed = await net.prover("twice", "");
    const addr = `127.0.0.1:${listed.port}`;
    const proverAddrs = [addr, "127.0.0.1:1"];
    await using pool = poolOf({ proverAddrs, baseId: "", verifies: false, needs: {} });
    const ids = () => pool.nodes().map(({ id }) => id);
    expect(ids()).toEqual(proverAddrs);
    const hello = {
      can: ["prove"],
      slots: 2,
      waiting_room: 0,
      cores: 4,
      mem_mib: "1",
      gpus: 0,
      labels: [],
      base_id: "",
    };
    const byName = pool.join({ ...hello, node_id: "twice", name: "", addr: "10.0.0.1:1" });
    await expect.poll(ids).toEqual(["127.0.0.1:1", "twice"]);
    pool.join({ ...hello, node_id: "other", name: "", addr: "127.0.0.1:1" });
    expect(ids()).toEqual(["twice", "other"]);
    byName.leave();
    expect(ids()).toEqual([addr, "other"]);
  });

  it("a listed node of ours says what it has and does, and whether it works", async () => {
    const addr = `127.0.0.1:${await freePort()}`;
    await using draining = await net.prover("drains", "", { addr, can: ["prove", "agg"] });
    draining.drain();
    const needs = { prove: { gpu: 1 } };
    await using pool = poolOf({ proverAddrs: [addr], baseId: "b", verifies: false, needs });
    const short = `no node has what [needs.prove] asks for: ${addr} lacks gpu 1 (has 0)`;
    await expect.poll(() => pool.whyNone("prove")).toBe(short);
    expect(pool.whyNone("snark")).toMatch(/^no node is here that does snark/);
    const [node] = pool.nodes();
    expect(node).toMatchObject({ isOpen: false, sharesBase: false });
    await draining[Symbol.asyncDispose]();
    await using _again = await net.prover("works", "", { addr });
    await expect.poll(() => node!.isOpen).toBe(true);
    expect(pool.whyNone("snark")).toBeNull();
  });

  it("an existing node is never asked how it is, which would wait for its proof", async () => {
    const forGood = () => new Promise<object>(() => {});
    await using listed = await createExistingNode({ GetStatus: forGood, GetTaskResult: forGood });
    await using pool = poolOf({ proverAddrs: [listed.addr], baseId: "b", verifies: false, needs: {} });
    const [node] = pool.nodes();
    expect(node!.isOpen).toBe(false);
    await expect.poll(() => node!.isOpen).toBe(true);
    expect(node!.sharesBase).toBe(true);
    expect(listed.calls).toEqual([]);
  });

  it("a listed node that is down gets its work when it is there", async () => {
    const port = await freePort();
    const { own, stage } = await stageOf("late", { prover_addrs: [`127.0.0.1:${port}`] });
    const client = net.client(stage.addr);
    const { proof_id: id } = await client.submit(TWO);
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    await using _node = await createExistingNode(existingMethods(own.base_dir), { port });
    expect(await client.finished(id!)).toMatchObject({ status: SUCCESS });
  });
});

describe("a check that can't run", () => {
  it("ends the run, and accuses no node", async () => {
    const verify = { command: ["/no/such/verifier"] };
    const { stage } = await stageOf("unchecked", { steps: { verify }, max_attempts: 2 });
    await using _node = await net.prover("honest", stage.addr, {}, createReadableProver());
    const client = net.client(stage.addr);
    const { proof_id: id } = await client.submit(TWO);
    const end = await client.finished(id!);
    expect(end).toMatchObject({ status: SNARK_ERROR });
    expect(end.error_message).toMatch(/^task verify failed on stage: .*can't be started/);
  });
});

describe("stages of one database", () => {
  it("have one base folder", async () => {
    const { own } = await stageOf("bases");
    await expect(net.stage({ ...own, base_dir: join(net.dir, "elsewhere") })).rejects.toMatchObject({
      code: "PIPELINE_CONFIG",
      message: expect.stringMatching(
        /^base_dir .*elsewhere is not that of the stage .*127\.0\.0\.1:\d+, which has/,
      ),
    });
    await (await net.stage(own))[Symbol.asyncDispose]();
  });

  it("a second start of a stage by mistake takes nothing from the first", async () => {
    const { own, stage } = await stageOf("twice");
    const slow = createReadableProver();
    let starts = 0;
    await net.prover("a", stage.addr, {}, async (...step) => {
      starts += 1;
      await new Promise((resolve) => setTimeout(resolve, 300));
      await slow(...step);
    });
    const client = net.client(stage.addr);
    const { proof_id: id } = await client.submit(TWO);
    await expect.poll(() => starts).toBeGreaterThan(0);
    await expect(net.stage({ ...own, addr: stage.addr })).rejects.toMatchObject({ code: "PIPELINE_LISTEN" });
    expect(await client.finished(id!)).toMatchObject({ status: SUCCESS });
    expect(starts).toBe(5);
  });
});
