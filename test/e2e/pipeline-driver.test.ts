import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { credentials } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createStack } from "../../devnet/src/disposeStack.ts";
import { createBlobStore } from "../../devnet/src/pipeline/data/blobStore.ts";
import { createNodePool, type NodePool } from "../../devnet/src/pipeline/nodes/nodePool.ts";
import type { RunShape, TaskKind } from "../../devnet/src/pipeline/plan/planTasks.ts";
import { createTaskQueue, type TaskQueue } from "../../devnet/src/pipeline/schedule/taskQueue.ts";
import { claimTasks, releaseTasks, type Start } from "../../devnet/src/pipeline/stage/claimTasks.ts";
import { createDispatcher } from "../../devnet/src/pipeline/stage/dispatcher.ts";
import { findLiar } from "../../devnet/src/pipeline/stage/findLiar.ts";
import { createRunDriver, type RunDriver } from "../../devnet/src/pipeline/stage/runDriver.ts";
import { migratePipeline } from "../../devnet/src/pipeline/store/migratePipeline.ts";
import { readQueueLevels } from "../../devnet/src/pipeline/store/releases.ts";
import { readRound } from "../../devnet/src/pipeline/store/rounds.ts";
import { findRun, type RunContext } from "../../devnet/src/pipeline/store/runs.ts";
import { TASK_TYPE } from "../../devnet/src/pipeline/store/statuses.ts";
import type { PipelineTask } from "../../devnet/src/pipeline/store/tasks.ts";
import { loadProtos } from "../../devnet/src/pipeline/wire/protos.ts";
import { createDatabase, type Database } from "../../devnet/src/store/database.ts";
import { createPostgres } from "../../devnet/src/up/postgres.ts";
import { quiet } from "../fixtures/pipeline/pipelineNet.ts";

const SHAPE: RunShape = {
  version: "zkm",
  target: "snark",
  fromAgg: false,
  singleNode: false,
  deferredProofs: 0,
  verifies: false,
};
const SUCCESS = 0;
const CANCELLED = 4;
const HOUR_MS = 3_600_000;

let stack: AsyncDisposable;
let dir: string;
let database: Database;
let queue: TaskQueue;
let pool: NodePool;
let driver: RunDriver;
let publish: () => Promise<string | undefined> = async () => undefined;

beforeAll(async () => {
  await using starting = createStack();
  dir = await mkdtemp(join(tmpdir(), "gevulot-driver-"));
  starting.defer(() => rm(dir, { recursive: true, force: true }));
  const postgres = starting.use(await createPostgres({ dataDir: join(dir, "pg"), durable: false }));
  const url = await postgres.createDatabase("pipeline");
  database = starting.use(await createDatabase({ log: quiet }, { url, prepares: true }));
  await migratePipeline(database);
  queue = starting.use(await createTaskQueue({ log: quiet, database }, { expireSeconds: 1_000 }));
  const about = {
    log: quiet,
    protos: loadProtos(),
    credentials: credentials.createInsecure(),
    now: Date.now,
    onRoom: () => {},
  };
  // Nobody is called here: what nodes would answer is told to the driver.
  pool = starting.use(createNodePool(about, { proverAddrs: [], baseId: "", verifies: false, needs: {} }));
  pool.join({
    ...{ node_id: "node", name: "node", addr: "127.0.0.1:1", can: Object.keys(TASK_TYPE), slots: 1 },
    ...{ waiting_room: 0, cores: 1, mem_mib: "1", gpus: 0, labels: [], base_id: "" },
  });
  driver = createRunDriver(
    { log: quiet, database, queue, onChanged: () => {}, publish: () => publish() },
    { maxFailures: 4, maxLosses: 20, busyLimitMs: () => HOUR_MS },
  );
  stack = starting.move();
});
afterAll(() => stack?.[Symbol.asyncDispose]());

async function begin(
  shape: Partial<RunShape> = {},
  deadlineAt: Date | null = null,
  priority = 0,
): Promise<string> {
  const id = randomUUID();
  const run = { id, address: "a", step: 0, requestHash: "", priority, maxProvers: 0, deadlineAt };
  const context = {} as RunContext;
  await driver.begin({ ...run, context, shape: { ...SHAPE, ...shape } }, new Map(), async () => {});
  return id;
}

/** Starts the next task of a kind as soon as the queue gives it. */
async function start(kind: TaskKind): Promise<Start> {
  let starts: Start[] = [];
  const claim = async (): Promise<number> => {
    for (const node of pool.nodes()) for (const { task } of starts) node.work.remove(task.id, false);
    const deps = { database, queue, pool, stageId: "stage" };
    await releaseTasks(deps);
    starts = await claimTasks(deps, kind, new Set());
    return starts.length;
  };
  await expect.poll(claim, { timeout: 20_000, interval: 200 }).toBe(1);
  const [started] = starts;
  started!.node.work.remove(started!.task.id, false);
  return started!;
}

const rowOf = async (id: string) =>
  (await database.query<Record<string, unknown>>("select * from prove_task where id = $1", [id])).rows[0];
const hash = (letter: string) => letter.repeat(64);
const output = (letter: string) => ({ hash: hash(letter), bytes: 1 });
const splitOf = (segments: number) => ({ ...output("5"), segments, totalSteps: 9n });
const end = (run: string) => driver.end(run, CANCELLED, "cancelled");

describe("starts of a task", () => {
  it("what an earlier one says changes nothing once a later one began", async () => {
    const run = await begin();
    const { task: first } = await start("split");
    await driver.setBack(first, { outcome: "unwatched", error: "", node: "a" });
    const { task: second } = await start("split");
    expect(second).toMatchObject({ id: first.id, attempt: first.attempt + 1 });
    await driver.setBack(first, { outcome: "failed", error: "late news", node: "a" });
    await driver.blame({ ...first, kind: "verify" }, first, "late news");
    expect(await rowOf(first.id)).toMatchObject({ status: 2, failures: 0, attempt: second.attempt });
    // An output is one, whoever brings it.
    await driver.complete(first, splitOf(1), null);
    expect(await rowOf(first.id)).toMatchObject({ status: 3 });
    await end(run);
  });

  it("the queue gives one up that takes too long, and it starts again all the same when it fails", async () => {
    const run = await begin();
    const { task } = await start("split");
    await database.query("update pipeline_queue.job set state = 'retry' where id = $1::uuid", [task.id]);
    expect(await claimTasks({ database, queue, pool, stageId: "stage" }, "split", new Set())).toEqual([]);
    await driver.setBack(task, { outcome: "lost", error: "", node: "a" });
    expect((await start("split")).task).toMatchObject({ id: task.id, losses: 1 });
    await end(run);
  });

  it("one that waits after a failure keeps no other from the queue", async () => {
    const run = await begin();
    const { task } = await start("split");
    await driver.setBack({ ...task, failures: 3 - 1 }, { outcome: "failed", error: "", node: "a" });
    const levels = await readQueueLevels(database, ["split"]);
    expect(levels.get("split")).toEqual({ queued: 0, hasMore: false, hasUrgent: false, head: null });
    const other = await begin();
    expect((await start("split")).task.proofId).toBe(other);
    await end(run);
    await end(other);
  });
});

describe("a run's begin", () => {
  const newRun = () => {
    const about = { id: randomUUID(), address: "a", step: 0, requestHash: "", priority: 0, maxProvers: 0 };
    return { ...about, deadlineAt: null, context: {} as RunContext, shape: SHAPE };
  };
  const readTasks = async (id: string) =>
    (await database.query("select key from prove_task where proof_id = $1", [id])).rows.length;

  it("holds up no other, however many have their data put in place", async () => {
    let put = (): void => {};
    const placed = new Promise<void>((resolve) => {
      put = resolve;
    });
    const runs = Array.from({ length: 20 }, newRun);
    const begun = runs.map((run) => driver.begin(run, new Map(), () => placed));
    await expect
      .poll(async () => (await Promise.all(runs.map(({ id }) => findRun(database, id)))).includes(null))
      .toBe(false);
    expect(await readTasks(runs[0]!.id)).toBe(0);
    put();
    expect(await Promise.all(begun)).not.toContain(false);
    expect(await readTasks(runs[0]!.id)).toBe(1);
    for (const { id } of runs) await end(id);
  });

  it("is made good by the same request, where the stage died before the data was in place", async () => {
    const run = newRun();
    const never = new Promise<void>(() => {});
    void driver.begin(run, new Map(), () => never);
    await expect.poll(() => findRun(database, run.id)).not.toBeNull();
    const place = async () => {};
    expect(await driver.begin({ ...run, requestHash: "another" }, new Map(), place)).toBe(false);
    expect(await driver.begin(run, new Map(), place)).toBe(true);
    expect(await readTasks(run.id)).toBe(1);
    expect(await driver.begin(run, new Map(), place)).toBe(false);
    await end(run.id);
  });

  it("is none where the data can't be put in place", async () => {
    const run = newRun();
    const full = new Error("the disk is full");
    await expect(driver.begin(run, new Map(), () => Promise.reject(full))).rejects.toBe(full);
    expect(await findRun(database, run.id)).toBeNull();
  });
});

describe("a run's end", () => {
  it("holds no lock while the proof is placed, and comes later where that failed", async () => {
    const run = await begin({ singleNode: true });
    const { task } = await start("single");
    let fail = (_: Error): void => {};
    const placing = new Promise<undefined>((_, reject) => {
      fail = reject;
    });
    publish = () => placing;
    const completing = driver.complete(task, { ...output("b"), totalSteps: 7n }, null);
    await expect.poll(async () => (await rowOf(task.id))?.status).toBe(3);
    await database.query("select 1 from stage_task where id = $1 for update nowait", [run]);
    fail(new Error("the disk is full"));
    await completing;
    const error = "the proof can't be placed: the disk is full";
    expect(await findRun(database, run)).toMatchObject({ status: 2, finishedAt: null, error });
    publish = async () => "text";
    const { complete } = await readRound(database, { stageId: "stage", addr: "a", held: [], heard: [] });
    expect(complete).toEqual([run]);
    await driver.succeed(complete);
    expect(await findRun(database, run)).toMatchObject({
      ...{ status: SUCCESS, step: 5, resultHash: hash("b"), result: "text", totalSteps: 7n, error: null },
    });
  });

  it("comes after a while where the proof can never be placed, and a retry goes on from there", async () => {
    const run = await begin({ singleNode: true });
    publish = async () => {
      throw new Error("a folder is in the way");
    };
    await driver.complete((await start("single")).task, { ...output("b"), totalSteps: 7n }, null);
    await driver.succeed([run]);
    expect(await findRun(database, run)).toMatchObject({ finishedAt: null });
    await database.query("update stage_task set updated_at = now() - interval '1 hour' where id = $1", [run]);
    await driver.succeed([run]);
    expect(await findRun(database, run)).toMatchObject({
      ...{ status: CANCELLED, finishedAt: expect.any(Date) },
      error: "the proof can't be placed: a folder is in the way",
    });
    await driver.retry(run);
    await driver.succeed([run]);
    expect(await findRun(database, run)).toMatchObject({ status: 2, finishedAt: null });
    publish = async () => undefined;
    await driver.succeed([run]);
    expect(await findRun(database, run)).toMatchObject({ status: SUCCESS, error: null });
  });

  it("is begun once, however often it is looked for", async () => {
    const run = await begin({ singleNode: true });
    const places: (() => void)[] = [];
    publish = () => new Promise((resolve) => void places.push(() => resolve(undefined)));
    const completing = driver.complete(
      (await start("single")).task,
      { ...output("b"), totalSteps: 7n },
      null,
    );
    await expect.poll(() => places.length, { timeout: 20_000 }).toBe(1);
    const again = driver.succeed([run]);
    // It reads the run first, over the same few connections as this.
    for (const _ of Array(5)) await findRun(database, run);
    places[0]!();
    await Promise.all([completing, again]);
    expect(places).toHaveLength(1);
    publish = async () => undefined;
  });

  it("its step never goes back", async () => {
    const run = await begin();
    const { task: split } = await start("split");
    await driver.addSegments(run, [hash("1")], 0);
    await driver.complete((await start("prove")).task, output("2"), null);
    expect(await findRun(database, run)).toMatchObject({ step: 3 });
    await driver.complete(split, splitOf(1), null);
    expect(await findRun(database, run)).toMatchObject({ step: 3 });
    await end(run);
  });

  it("of a composite proof the result is the first segment's receipt, not the last that came", async () => {
    const run = await begin({ target: "prove" });
    const { task: split } = await start("split");
    await driver.addSegments(run, [hash("1"), hash("2")], 0);
    const proves = [(await start("prove")).task, (await start("prove")).task];
    await driver.complete(split, splitOf(2), null);
    for (const { planned, ...task } of proves.sort((left, right) => left.planned.index - right.planned.index))
      await driver.complete({ planned, ...task }, output(planned.index === 0 ? "c" : "d"), null);
    expect(await findRun(database, run)).toMatchObject({ status: SUCCESS, step: 6, resultHash: hash("c") });
  });
});

describe("a retry", () => {
  it("has the run's time once more, each time, and begins at its first step", async () => {
    const run = await begin({}, new Date(Date.now() + HOUR_MS / 6));
    await database.query(
      "update stage_task set created_at = deadline_at - interval '1 hour', step = 5 where id = $1",
      [run],
    );
    for (const _ of [1, 2]) {
      await end(run);
      await driver.retry(run);
      const { deadlineAt, step } = (await findRun(database, run))!;
      expect(Math.abs(deadlineAt!.getTime() - Date.now() - HOUR_MS)).toBeLessThan(60_000);
      expect(step).toBe(0);
    }
    await end(run);
  });

  it("gives what was not done, or made of something wrong, ids that no node knows", async () => {
    const run = await begin({ verifies: true });
    const { task: split } = await start("split");
    await driver.addSegments(run, [hash("1"), hash("2")], 0);
    await driver.complete(split, splitOf(2), null);
    const proves = [(await start("prove")).task, (await start("prove")).task];
    for (const task of proves) await driver.complete(task, output("3"), null);
    const { task: agg } = await start("agg");
    await driver.complete(agg, output("4"), null);
    const { task: snark } = await start("snark");
    await driver.blame(snark, { ...proves[0]!, node: "liar" }, "a lie");
    expect(await findRun(database, run)).toMatchObject({ error: expect.stringContaining("by node liar") });
    await driver.retry(run);
    for (const task of [split, proves[1]!]) expect(await rowOf(task.id)).toMatchObject({ status: 3 });
    for (const task of [proves[0]!, agg, snark]) expect(await rowOf(task.id)).toBeUndefined();
    const { task: again } = await start("prove");
    expect(again).toMatchObject({ planned: proves[0]!.planned, notOn: ["liar"], failures: 0 });
    const held = [proves[0]!.id, again.id];
    const { over } = await readRound(database, { stageId: "stage", addr: "a", held, heard: [] });
    expect(over).toEqual([proves[0]!.id]);
    // The old call still goes on, and ends.
    await driver.complete(proves[0]!, output("3"), null);
    expect(await rowOf(again.id)).toMatchObject({ status: 2 });
    await end(run);
  });

  it("forgets what a split brought that turned out to be wrong", async () => {
    const run = await begin();
    const { task: split } = await start("split");
    await driver.addSegments(run, [hash("1"), hash("2")], 0);
    await driver.complete(split, splitOf(2), null);
    const { task: prove } = await start("prove");
    await driver.blame(prove, { ...split, node: "liar" }, "a lie");
    await driver.retry(run);
    expect(await findRun(database, run)).toMatchObject({ segments: { known: 0, total: null } });
    const { rows } = await database.query("select key from prove_task where proof_id = $1", [run]);
    expect(rows).toEqual([{ key: "split" }]);
    await end(run);
  });
});

describe("an answer", () => {
  it("is stored once nothing is in the way, and is no failure of its node", async () => {
    const run = await begin({ singleNode: true });
    let tries = 0;
    const complete: RunDriver["complete"] = async (task, made, ranMs) => {
      tries += 1;
      const late = "set local statement_timeout = 1; select pg_sleep(60)";
      if (tries === 1) await database.transaction((client) => client.query(late));
      await driver.complete(task, made, ranMs);
    };
    const caller = {
      call: async () => ({ kind: "done", output: { ...output("b"), totalSteps: 7n } }) as const,
    };
    const about = { log: quiet, database, queue, pool, stageId: "stage", caller, accuse: async () => null };
    await using dispatcher = createDispatcher({ ...about, driver: { ...driver, complete } });
    dispatcher.wake();
    await expect
      .poll(() => findRun(database, run), { timeout: 20_000 })
      .toMatchObject({ status: SUCCESS, resultHash: hash("b") });
    expect(tries).toBe(2);
    const { rows } = await database.query("select failures from prove_task where proof_id = $1", [run]);
    expect(rows).toEqual([{ failures: 0 }]);
  });
});

describe("a run of many segments", () => {
  const SEGMENTS = 8_000;

  it("is retried, and cancelled, within a statement's time", async () => {
    const run = await begin();
    const { task: split } = await start("split");
    await driver.addSegments(run, Array(SEGMENTS).fill(hash("1")), 0);
    await driver.complete(split, splitOf(SEGMENTS), null);
    const proves = "prove_task where proof_id = $1 and key like 'prove/%'";
    await database.query(
      `update prove_task set status = 3, output_hash = '2' where id in (select id from ${proves})`,
      [run],
    );
    await end(run);
    await database.query(
      "update prove_task set status = 4 where id in (select id from prove_task where proof_id = $1 and key = 'prove/5')",
      [run],
    );
    expect(await driver.retry(run)).toBe(true);
    const { rows } = await database.query(
      "select status, count(*)::int from prove_task where proof_id = $1 and itype = 2 group by status order by status",
      [run],
    );
    expect(rows).toEqual([
      { status: 1, count: 1 },
      { status: 3, count: SEGMENTS - 1 },
    ]);
    await end(run);
  });

  it("leaves the queue without holding up what else the stage does", async () => {
    const tasks = Array.from({ length: 150_000 }, () => ({ id: randomUUID(), kind: "prove" as const }));
    const begunAt = performance.eventLoopUtilization();
    await queue.drop(database, tasks);
    // A sign of life that is late by so much means to other stages that this one is dead.
    expect(performance.eventLoopUtilization(begunAt).active).toBeLessThan(15_000);
  });
});

describe("who goes first", () => {
  it("a higher priority, however many long tasks of others could start before", async () => {
    const proving = async (priority: number) => {
      const run = await begin({ target: "prove" }, null, priority);
      const { task: split } = await start("split");
      await driver.addSegments(run, Array(6).fill(hash("1")), 0);
      await driver.complete(split, splitOf(6), null);
      return run;
    };
    const low = await proving(0);
    expect((await start("prove")).task.proofId).toBe(low);
    const high = await proving(1);
    expect((await start("prove")).task.proofId).toBe(high);
    await end(low);
    await end(high);
  });

  it("another stage, where a task failed at all nodes of this one", async () => {
    const run = await begin();
    const { task } = await start("split");
    await driver.setBack(task, { outcome: "failed", error: "", node: "node" });
    await database.query(
      "insert into pipeline_stage (id, addr, seen_at) values ('other', 'other', now() + interval '1 hour')",
    );
    const { kind } = task;
    const deps = { database, queue, pool, stageId: "stage" };
    await expect
      .poll(() => readQueueLevels(database, [kind]), { timeout: 20_000 })
      .toSatisfy((levels: Awaited<ReturnType<typeof readQueueLevels>>) => levels.get(kind)!.queued === 1);
    expect(await claimTasks(deps, kind, new Set())).toEqual([]);
    await database.query(
      "update pipeline_attempt set finished_at = now() - interval '1 hour' where task_id = $1",
      [task.id],
    );
    expect((await start(kind)).task).toMatchObject({ id: task.id, failures: 1 });
    await database.query("delete from pipeline_stage where id = 'other'");
    await end(run);
  });
});

describe("what waits in the queue", () => {
  it("waits there for as long as no node can do it", async () => {
    const run = await begin();
    await releaseTasks({ database, queue, pool, stageId: "stage" });
    const { rows } = await database.query<{ id: string; is_kept: boolean }>(
      `select job.id, keep_until > now() + interval '100 years' as is_kept from pipeline_queue.job
       join prove_task as task on task.id = job.id::text where proof_id = $1`,
      [run],
    );
    expect(rows).toMatchObject([{ is_kept: true }]);
    await end(run);
  });
});

describe("a search for the wrong output", () => {
  it("takes no longer than it may", async () => {
    const run = await begin();
    const { task: split } = await start("split");
    await driver.addSegments(run, [hash("1")], 0);
    await driver.complete(split, splitOf(1), null);
    const { task } = await start("prove");
    const blobs = createBlobStore(join(dir, "blob"));
    const kept = await blobs.put(Buffer.from("a receipt"));
    await database.query("update prove_task set input_hash = $2 where id = $1", [task.id, kept.hash]);
    await driver.complete(task, kept, null);
    const verify = (_: unknown, signal: AbortSignal) =>
      new Promise<{ kind: "cancelled" }>((resolve) => {
        signal.addEventListener("abort", () => resolve({ kind: "cancelled" }));
      });
    const failed = { ...task, kind: "verify" } as PipelineTask;
    const never = new AbortController().signal;
    expect(await findLiar({ database, blobs, verify, limitMs: 100 }, failed, never)).toBeNull();
    await end(run);
  });
});
