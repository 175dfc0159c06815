import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { NodePool } from "../../devnet/src/pipeline/nodes/nodePool.ts";
import type { TaskQueue } from "../../devnet/src/pipeline/schedule/taskQueue.ts";
import { claimTasks, releaseTasks } from "../../devnet/src/pipeline/stage/claimTasks.ts";
import { createDispatcher } from "../../devnet/src/pipeline/stage/dispatcher.ts";
import type { RunDriver } from "../../devnet/src/pipeline/stage/runDriver.ts";
import { readQueueLevels } from "../../devnet/src/pipeline/store/releases.ts";
import { findRun } from "../../devnet/src/pipeline/store/runs.ts";
import type { Database } from "../../devnet/src/store/database.ts";
import { createDriverNet, type DriverNet, hash, output, splitOf } from "../fixtures/pipeline/driverNet.ts";
import { quiet } from "../fixtures/pipeline/pipelineNet.ts";

const SUCCESS = 0;

let net: DriverNet;
let database: Database;
let queue: TaskQueue;
let pool: NodePool;
let driver: RunDriver;
const begin: DriverNet["begin"] = (shape, change) => net.begin(shape, change);
const start: DriverNet["start"] = (kind) => net.start(kind);
const end: DriverNet["end"] = (run) => net.end(run);

beforeAll(async () => {
  net = await createDriverNet();
  ({ database, queue, pool, driver } = net);
});
afterAll(() => net?.[Symbol.asyncDispose]());

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

  it.each(["that can't be stored", "that can't be read"])("%s fails its task after a while", async (what) => {
    const run = await begin({ singleNode: true });
    const late = async (): Promise<never> => {
      await database.transaction((client) =>
        client.query("set local statement_timeout = 1; select pg_sleep(60)"),
      );
      throw new Error("it was not late");
    };
    const isStored = what === "that can't be read";
    const done = { kind: "done", output: { ...output("b"), totalSteps: 7n } } as const;
    const caller = { call: async () => (isStored ? late() : done) };
    const about = { log: quiet, database, queue, pool, stageId: "stage", caller, accuse: async () => null };
    await using dispatcher = createDispatcher({
      ...{ ...about, longestTroubleMs: 0 },
      driver: { ...driver, complete: late },
    });
    dispatcher.wake();
    const attempts = `select outcome, pipeline_attempt.error from pipeline_attempt
      join prove_task as task on task.id = task_id where proof_id = $1 and outcome is not null`;
    const ends = async () => (await database.query(attempts, [run])).rows;
    await expect.poll(ends, { timeout: 20_000 }).not.toEqual([]);
    expect((await ends())[0]).toEqual({
      outcome: "failed",
      error: "canceling statement due to statement timeout",
    });
    await end(run);
  });

  it("that was not stored in the end leaves its task with whoever claimed it", async () => {
    const run = await begin();
    const { task } = await start("split");
    const failing = database.transaction(async (client) => {
      await queue.finish(client, [task]);
      throw new Error("cut");
    });
    await expect(failing).rejects.toThrow("cut");
    const state = async () =>
      (await database.query("select state from pipeline_queue.job where id::text = $1", [task.id])).rows;
    expect(await state()).toEqual([{ state: "active" }]);
    await database.transaction((client) => queue.finish(client, [task]));
    expect(await state()).toEqual([{ state: "completed" }]);
    await end(run);
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
    const tasks = Array.from({ length: 40_000 }, () => ({ id: randomUUID(), kind: "prove" as const }));
    const begunAt = performance.eventLoopUtilization();
    await queue.drop(database, tasks);
    // A sign of life that is late by so much means to other stages that this one is dead.
    expect(performance.eventLoopUtilization(begunAt).active).toBeLessThan(15_000);
  });
});

describe("who goes first", () => {
  it("a higher priority, however many long tasks of others could start before", async () => {
    const proving = async (priority: number) => {
      const run = await begin({ target: "prove" }, { priority });
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
