import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createBlobStore } from "../../devnet/src/pipeline/data/blobStore.ts";
import type { NodePool } from "../../devnet/src/pipeline/nodes/nodePool.ts";
import { planTasks } from "../../devnet/src/pipeline/plan/planTasks.ts";
import type { TaskQueue } from "../../devnet/src/pipeline/schedule/taskQueue.ts";
import { claimTasks } from "../../devnet/src/pipeline/stage/claimTasks.ts";
import { findLiar } from "../../devnet/src/pipeline/stage/findLiar.ts";
import type { RunDriver } from "../../devnet/src/pipeline/stage/runDriver.ts";
import { readQueueLevels } from "../../devnet/src/pipeline/store/releases.ts";
import { readRound } from "../../devnet/src/pipeline/store/rounds.ts";
import {
  findRun,
  insertRun,
  lockUnfinishedRun,
  removeUnplaced,
} from "../../devnet/src/pipeline/store/runs.ts";
import { insertTasks, type PipelineTask } from "../../devnet/src/pipeline/store/tasks.ts";
import type { Database } from "../../devnet/src/store/database.ts";
import {
  createDriverNet,
  type DriverNet,
  hash,
  newRun,
  output,
  splitOf,
} from "../fixtures/pipeline/driverNet.ts";

const SUCCESS = 0;
const CANCELLED = 4;
const HOUR_MS = 3_600_000;

let net: DriverNet;
let database: Database;
let queue: TaskQueue;
let pool: NodePool;
let driver: RunDriver;
const begin: DriverNet["begin"] = (shape, change) => net.begin(shape, change);
const start: DriverNet["start"] = (kind) => net.start(kind);
const end: DriverNet["end"] = (run) => net.end(run);
const rowOf: DriverNet["rowOf"] = (id) => net.rowOf(id);

beforeAll(async () => {
  net = await createDriverNet();
  ({ database, queue, pool, driver } = net);
});
afterAll(() => net?.[Symbol.asyncDispose]());

describe("a run without its data", () => {
  it("stays where the same request, at once, brings it while another fails", async () => {
    const run = newRun();
    await insertRun(database, run);
    const waiting = `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
    const removed = await database.transaction(async (client) => {
      await lockUnfinishedRun(client, run.id);
      const removing = removeUnplaced(database, run);
      await expect
        .poll(async () => (await database.query(waiting)).rowCount, { timeout: 20_000 })
        .toBeGreaterThan(0);
      await insertTasks(client, run.id, planTasks(run.shape, { known: 0, total: null }), new Map());
      return { removing };
    });
    await removed.removing;
    expect(await findRun(database, run.id)).not.toBeNull();
    await end(run.id);
  });

  it("that is cancelled meanwhile is not retried", async () => {
    const run = newRun();
    const begun = await driver.begin(run, new Map(), async () => void (await end(run.id)));
    expect(begun).toBe(false);
    expect(await driver.retry(run.id)).toBe(false);
    expect(await findRun(database, run.id)).toMatchObject({ status: CANCELLED });
  });
});

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
  const readTasks = async (id: string) =>
    (await database.query("select key from prove_task where proof_id = $1", [id])).rows.length;

  it("holds up no other, however many have their data put in place", async () => {
    let put = (): void => {};
    const placed = new Promise<void>((resolve) => {
      put = resolve;
    });
    const runs = Array.from({ length: 20 }, () => newRun());
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
    let isPlacing = false;
    net.publish = () => {
      isPlacing = true;
      return placing;
    };
    const completing = driver.complete(task, { ...output("b"), totalSteps: 7n }, null);
    await expect.poll(() => isPlacing).toBe(true);
    expect((await rowOf(task.id))?.status).toBe(3);
    await database.query("select 1 from stage_task where id = $1 for update nowait", [run]);
    fail(new Error("the disk is full"));
    await completing;
    const error = "the proof can't be placed: the disk is full";
    expect(await findRun(database, run)).toMatchObject({ status: 2, finishedAt: null, error });
    net.publish = async () => "text";
    const { complete } = await readRound(database, { stageId: "stage", addr: "a", held: [], heard: [] });
    expect(complete).toEqual([run]);
    await driver.succeed(complete);
    expect(await findRun(database, run)).toMatchObject({
      ...{ status: SUCCESS, step: 5, resultHash: hash("b"), result: "text", totalSteps: 7n, error: null },
    });
  });

  it("comes after a while where the proof can never be placed, and a retry goes on from there", async () => {
    const run = await begin({ singleNode: true });
    net.publish = async () => {
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
    net.publish = async () => undefined;
    await driver.succeed([run]);
    expect(await findRun(database, run)).toMatchObject({ status: SUCCESS, error: null });
  });

  it("is begun once, however often it is looked for", async () => {
    const run = await begin({ singleNode: true });
    const places: (() => void)[] = [];
    net.publish = () => new Promise((resolve) => void places.push(() => resolve(undefined)));
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
    net.publish = async () => undefined;
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
    const run = await begin({}, { deadlineAt: new Date(Date.now() + HOUR_MS / 6) });
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

describe("a search for the wrong output", () => {
  it("takes no longer than it may", async () => {
    const run = await begin();
    const { task: split } = await start("split");
    await driver.addSegments(run, [hash("1")], 0);
    await driver.complete(split, splitOf(1), null);
    const { task } = await start("prove");
    const blobs = createBlobStore(join(net.dir, "blob"));
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
