import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createPipelineClient, type PipelineClient } from "gevulot-sdk/pipeline";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Prover } from "../../devnet/src/pipeline/prover/createProver.ts";
import { JOIN_AGAIN_MS } from "../../devnet/src/pipeline/prover/taskRun.ts";
import { createPipelineNet, type PipelineNet, type StageClient } from "../fixtures/pipeline/pipelineNet.ts";
import { createReadableProver } from "../fixtures/pipeline/readableProver.ts";
import { USER_KEY } from "../fixtures/pipeline/signRequest.ts";
import { createGate } from "../fixtures/taskPrograms.ts";

const elf = Buffer.from("an ELF");
const work = (segments: number, ms: number) => ({
  elf,
  publicInput: Buffer.from(JSON.stringify({ segments, ms })),
});
const SLOTS = 3;
const INTERNAL_ERROR = 4;

let net: PipelineNet;
let stageAddr: string;
let user: PipelineClient;
let client: StageClient;
let node: Prover;
/** The proves that run now, by run, and the most that ever ran at once. */
let proving: Map<string, { now: number; most: number }>;
/** Runs by the order in which their steps began. */
let begun: { readonly run: string; readonly step: string }[];
/** No prove ends before. */
let gate: (run: string) => Promise<void>;

beforeAll(async () => {
  net = await createPipelineNet();
  const stage = await net.stage({ api_addr: "127.0.0.1:0" });
  stageAddr = stage.addr;
  client = net.client(stageAddr);
  user = createPipelineClient({ url: `http://127.0.0.1:${stage.apiPort}`, key: USER_KEY });
  const prove = createReadableProver({
    onStep: (step, facts) => begun.push({ run: facts.GEVULOT_PROOF_ID!, step }),
  });
  node = await net.prover("a", stageAddr, { slots: SLOTS }, async (step, folder, options) => {
    const { GEVULOT_STEP: name, GEVULOT_PROOF_ID: run } = options.facts;
    if (name !== "prove") return prove(step, folder, options);
    const count = proving.get(run!) ?? { now: 0, most: 0 };
    proving.set(run!, count);
    count.now += 1;
    count.most = Math.max(count.most, count.now);
    await gate(run!);
    await prove(step, folder, options).finally(() => {
      count.now -= 1;
    });
  });
});
beforeEach(() => {
  proving = new Map();
  begun = [];
  gate = () => Promise.resolve();
});
afterAll(() => net?.[Symbol.asyncDispose]());

describe("what a user may ask for a run", () => {
  it("maxProvers: at most so many of its tasks run at once, and the others' slots are another run's", async () => {
    const { open, opened } = createGate();
    gate = () => opened;
    const few = await user.submit({ ...work(4, 0), maxProvers: 1 });
    const many = await user.submit(work(4, 0));
    await expect.poll(() => proving.get(many.proofId)?.now ?? 0).toBeGreaterThan(1);
    open();
    for (const { proofId } of [few, many]) await client.finished(proofId);
    expect(proving.get(few.proofId)!.most).toBe(1);
  });

  it("priority: a run that goes first overtakes one that waits", async () => {
    const held: (() => void)[] = [];
    let highId = "";
    gate = (run) => (run === highId ? Promise.resolve() : new Promise((resolve) => held.push(resolve)));
    const low = await user.submit(work(24, 0));
    await expect.poll(() => held.length).toBe(SLOTS);
    const high = await user.submit({ ...work(2, 0), priority: 5 });
    highId = high.proofId;
    const proves = () => begun.filter(({ step }) => step.startsWith("prove")).map(({ run }) => run);
    const begunOfHigh = () => {
      // The first run gives a slot away when it has them all.
      if (held.length === SLOTS) held.shift()?.();
      return proves().filter((run) => run === high.proofId).length;
    };
    await expect.poll(begunOfHigh).toBe(2);
    gate = () => Promise.resolve();
    for (const release of held) release();
    for (const { proofId } of [low, high]) await client.finished(proofId);
    expect(proves().filter((run) => run === high.proofId)).toHaveLength(2);
    expect(proves().lastIndexOf(high.proofId)).toBeLessThan(20);
  });

  it("deadlineSeconds: a run that takes longer ends, and so does its work at the node", async () => {
    const run = await user.submit({ ...work(1, 600_000), deadlineSeconds: 600 });
    await expect.poll(() => proving.get(run.proofId)?.now).toBe(1);
    const { rowCount } = await net.database.query(
      "update stage_task set deadline_at = now() where id = $1 and deadline_at > created_at + interval '9 minutes'",
      [run.proofId],
    );
    expect(rowCount).toBe(1);
    expect(await client.finished(run.proofId)).toMatchObject({
      status: INTERNAL_ERROR,
      error_message: "the run's deadline passed",
    });
    await expect.poll(() => proving.get(run.proofId)?.now).toBe(0);
    await expect.poll(node.running).toEqual([]);
  });

  it("cancel: the command at the node is killed, with what it started", async () => {
    await node[Symbol.asyncDispose]();
    const pids = join(net.dir, "pids");
    const script = `sleep 600 & echo "$$ $!" >${pids}; wait`;
    const steps = { split: { command: ["sh", "-c", script] } };
    const other = await net.prover("b", stageAddr, { steps });
    const run = await user.submit(work(1, 0));
    await expect.poll(() => existsSync(pids) && readFileSync(pids, "utf8")).toMatch(/\n$/);
    const [shell, child] = readFileSync(pids, "utf8").trim().split(" ").map(Number);
    expect([shell!, child!].filter(isAlive)).toHaveLength(2);
    await user.cancel(run.proofId);
    await expect.poll(() => [shell!, child!].filter(isAlive)).toEqual([]);
    await expect.poll(other.running).toEqual([]);
    expect(await user.status(run.proofId)).toMatchObject({ status: "INTERNAL_ERROR" });
  });

  it("cancel: a node that the stage lists, and that does not register, ends the command too", async () => {
    const { open, opened: begins } = createGate();
    const ended = createGate();
    const listed = await net.prover("c", "", {}, async (_step, _folder, { signal }) => {
      signal.addEventListener("abort", ended.open);
      open();
      await ended.opened;
    });
    const database = await net.postgres.createDatabase("listing");
    const stage = await net.stage({
      ...{ api_addr: "127.0.0.1:0", database_url: database, base_dir: join(net.dir, "listing") },
      prover_addrs: [`127.0.0.1:${listed.port}`],
    });
    const asking = createPipelineClient({ url: `http://127.0.0.1:${stage.apiPort}`, key: USER_KEY });
    const run = await asking.submit(work(1, 0));
    await begins;
    const cancelledAt = Date.now();
    await asking.cancel(run.proofId);
    await ended.opened;
    // Of a call that broke it would wait a minute whether it comes again.
    expect(Date.now() - cancelledAt).toBeLessThan(JOIN_AGAIN_MS);
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    // A zombie is dead.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
