import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { RunStatus } from "gevulot-sdk";
import {
  createProgramMetadata,
  type ProgramData,
  publicKeyOf,
  signTransaction,
  type Transaction,
} from "gevulot-sdk/protocol";
import { pino } from "pino";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  createGate,
  finish,
  type Program,
  taskOf,
  untilAborted,
} from "../../../test/fixtures/taskPrograms.ts";
import { createTestDatabase, type TestDatabase } from "../../../test/fixtures/testDatabase.ts";
import { createFileFetcher } from "../files/fetchFile.ts";
import { createFileLayout, type FileLayout } from "../files/layout.ts";
import { type AcceptOptions, createIntake, type Intake } from "../intake/intake.ts";
import type { Database } from "../store/database.ts";
import { readRunStatus } from "../store/readRunStatus.ts";
import { readTransaction } from "../store/readTransactions.ts";
import type { VmProvider } from "../vm/provider.ts";
import { createVolumeTurns } from "../vm/volumes/volumeTurns.ts";
import { recoverTasks } from "./recover.ts";
import { createRunDeadlines } from "./runDeadlines.ts";
import { createScheduler, type Scheduler } from "./scheduler.ts";

const log = pino({ level: "silent" });
const secretKey = new Uint8Array(32).fill(6);
const NODE_KEY = publicKeyOf(secretKey);
const nodeSecretKey = new Uint8Array(32).fill(9);
const fileBaseUrl = "http://127.0.0.1:9995";

let db: TestDatabase;
let dir: string;
let layout: FileLayout;
let intake: Intake;
let scheduler: Scheduler | null = null;
let nonce = 0n;
/** What the "VMs" of a test do, by the program's name. */
const programs = new Map<string, Program>();

beforeAll(async () => {
  db = await createTestDatabase();
});
afterAll(() => db?.[Symbol.asyncDispose]());
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "scheduler-"));
  layout = createFileLayout(dir);
  const deps = {
    log,
    database: db.database,
    layout,
    files: createFileFetcher(layout.incomingDir),
    onStored: () => scheduler?.wake(),
  };
  intake = createIntake(deps, { execute: true });
});
afterEach(async () => {
  await scheduler?.[Symbol.asyncDispose]();
  scheduler = null;
  programs.clear();
  fragment = "";
  await rm(dir, { recursive: true, force: true });
});

/** Of the URL of the program "prover"; names its volumes. */
let fragment = "";
const turns = createVolumeTurns({ holders: async () => [] });

/** A provider whose programs are functions of the test; everything around it is real. */
const provider: VmProvider = {
  name: "process",
  accelerator: "none",
  vsock: { kind: "none", detail: "" },
  async run(task, options) {
    options.onEvent?.({ stage: "spawned", pid: 4_242, vsock: "none" });
    options.onEvent?.({ stage: "program" });
    const name = task.imagePath.replace(/^.*\/(.*)\.img$/, "$1");
    return (programs.get(name) as Program)(task, options);
  },
  takeTurn: ({ id, volumes }) => turns.take(volumes ?? [], id),
  [Symbol.asyncDispose]: async () => {},
};

const start = (
  capacity = { memMib: 4_096, cpus: 2, gpus: 0, cpuFactor: 2 },
  database: Database = db.database,
): void => {
  scheduler = createScheduler(
    { log, database, layout, provider, intake, nodeSecretKey, fileBaseUrl },
    {
      capacity,
      gpuDevices: [],
      logDirectory: join(dir, "log"),
      taskDeadlineMs: 60_000,
      consoleLimitBytes: 1_000,
      maxOutputBytes: 1_000_000,
    },
  );
};

const metadata = (name: string, memMib = 512n) =>
  createProgramMetadata({
    name,
    imageFileName: `${name}.img`,
    imageFileUrl: `http://127.0.0.1:1/${dir}/${name}${name === "prover" ? fragment : ""}`,
    imageFileChecksum: "00".repeat(32),
    resources: { memMib, cpus: 1n, gpus: 0n },
  });

async function deploy(memMib?: bigint): Promise<void> {
  for (const name of ["prover", "verifier"]) {
    const path = layout.imagePath(metadata(name).hash, `${name}.img`);
    await mkdir(join(path, ".."), { recursive: true });
    await writeFile(path, "");
  }
  const [prover, verifier] = [metadata("prover", memMib), metadata("verifier", memMib)];
  const payload = { kind: "deploy", name: "t", prover, verifier } as const;
  await intake.accept(signTransaction({ payload, nonce: nonce++, secretKey }));
}

async function run(
  args: string[] = [],
  fromProver: string[] = [],
  options: AcceptOptions = {},
): Promise<Transaction<"run">> {
  const { hash: prover } = metadata("prover");
  const inputs: ProgramData[] = fromProver.map((fileName) => ({
    kind: "output",
    sourceProgram: prover,
    fileName,
  }));
  const steps = [
    { program: prover, args, inputs: [] },
    { program: metadata("verifier").hash, args: [], inputs },
  ];
  const tx = signTransaction({ payload: { kind: "run", steps }, nonce: nonce++, secretKey });
  await intake.accept(tx, options);
  return tx;
}

const status = async (tx: Transaction): Promise<RunStatus> =>
  (await readRunStatus(db.database, tx.hash, NODE_KEY)) as RunStatus;
const until = async (tx: Transaction, ready: (status: RunStatus) => boolean): Promise<RunStatus> => {
  await expect.poll(async () => ready(await status(tx))).toBe(true);
  return status(tx);
};
const ended = (tx: Transaction) => until(tx, ({ state }) => state === "complete" || state === "failed");

describe("the scheduler", () => {
  test("runs a prover and its verifier, hands the output file over, and signs both results", async () => {
    await deploy();
    start();
    let seen: unknown;
    programs.set("prover", async (task) =>
      finish(task, [1, 2, 3], { "proof.bin": (await taskOf(task)).args.join("+") }),
    );
    programs.set("verifier", async (task) => {
      seen = await taskOf(task);
      return finish(task, [...(await readFile(join(task.workspaceDir, "proof.bin")))]);
    });
    const tx = await run(["a b", "", "ü"], ["/workspace/proof.bin"]);
    const done = await ended(tx);
    expect(done).toMatchObject({ state: "complete", failure: null });
    expect(seen).toMatchObject({ args: [], files: ["/workspace/proof.bin"] });
    const verification = await readTransaction(db.database, done.verifications[0] as string);
    expect(verification?.payload).toMatchObject({
      kind: "verification",
      parent: done.proofs[0],
      verification: new TextEncoder().encode("a b++ü"),
    });
    expect(done.tasks[0]?.attempts).toMatchObject([
      { number: 1, provider: "process", pid: 4_242, failure: null },
    ]);
    const proof = (await readTransaction(db.database, done.proofs[0] as string)) as Transaction<"proof">;
    const file = proof.payload.files[0];
    expect(file).toMatchObject({ name: "/workspace/proof.bin", url: fileBaseUrl });
    expect(await readFile(layout.outputPath(proof.hash, file?.checksum as string, "proof.bin"), "utf8")).toBe(
      "a b++ü",
    );
  });

  test.each<[string, Program, object]>([
    [
      "a program that fails",
      async () => ({ kind: "exited", exitCode: 3 }),
      { code: "PROGRAM_FAILED", exitCode: 3 },
    ],
    [
      "a result that names a missing file",
      async (task) => {
        const { id } = await taskOf(task);
        const result = { Ok: { id, data: [], files: ["/workspace/none"] } };
        await writeFile(join(task.workspaceDir, "task_result.json"), JSON.stringify(result));
        return { kind: "exited", exitCode: 0 };
      },
      { code: "RESULT_INVALID", message: expect.stringContaining("/workspace/none") },
    ],
    [
      "a provider that breaks",
      async () => {
        throw new Error("no disk");
      },
      { code: "NODE_ERROR", message: "no disk" },
    ],
  ])("%s fails the Run with the reason", async (_, program, failure) => {
    await deploy();
    start();
    programs.set("prover", program);
    const done = await ended(await run());
    expect(done).toMatchObject({ state: "failed", failure: { step: 0, ...failure } });
    expect(done.tasks[0]).toMatchObject({ state: "failed", failure });
  });

  test("an input that the Proof doesn't have fails the second step", async () => {
    await deploy();
    start();
    programs.set("prover", (task) => finish(task, [], { "proof.bin": "x" }));
    const done = await ended(await run([], ["/workspace/other.bin"]));
    expect(done.failure).toMatchObject({ code: "INPUT_MISSING", step: 1 });
    expect(done.failure?.message).toContain("/workspace/proof.bin");
  });

  test("a program that can never fit fails at once", async () => {
    await deploy(600n);
    start({ memMib: 500, cpus: 1, gpus: 0, cpuFactor: 1 });
    const done = await ended(await run());
    expect(done.failure).toMatchObject({ code: "CANNOT_FIT", message: expect.stringContaining("600 MiB") });
  });

  test.each<[string, number, string, object[], string]>([
    ["that fits later", 1_000, "", [], "waits for 600 MiB of memory, 400 free"],
    [
      "that writes what another writes",
      2_000,
      "#volume=v:/v",
      [{ label: "v", path: "/v", readonly: false }],
      "waits for the volume v: another task has it",
    ],
  ])(
    "a program %s waits, says for what, and holds nothing",
    async (_, memMib, deployed, mounts, waitsFor) => {
      fragment = deployed;
      await deploy(600n);
      start({ memMib, cpus: 2, gpus: 0, cpuFactor: 1 });
      const gate = createGate();
      programs.set("prover", async (task) => {
        expect(task.volumes).toEqual(mounts);
        await gate.opened;
        return finish(task, []);
      });
      programs.set("verifier", (task) => finish(task, []));
      const [first, second] = [await run(), await run()];
      const waiting = await until(second, ({ tasks }) => tasks[0]?.waitsFor != null);
      expect(waiting.tasks[0]?.waitsFor).toBe(waitsFor);
      expect(scheduler?.used().memMib).toBe(600);
      gate.open();
      expect([(await ended(first)).state, (await ended(second)).state]).toEqual(["complete", "complete"]);
    },
  );

  test("a cancelled Run stops its task", async () => {
    await deploy();
    start();
    programs.set("prover", untilAborted);
    const tx = await run();
    await until(tx, ({ state }) => state === "proving");
    await scheduler?.cancelRun(tx.hash);
    expect((await ended(tx)).failure).toMatchObject({ code: "CANCELLED" });
  });

  test("with nothing to do the database is left alone", async () => {
    await deploy();
    programs.set("prover", async () => ({ kind: "deadline" }));
    let queries = 0;
    const database: Database = {
      ...db.database,
      query: (sql, values) => {
        queries += 1;
        return db.database.query(sql, values);
      },
    };
    start(undefined, database);
    await using _deadlines = createRunDeadlines({ log, database, onRunChanged: () => {} });
    await expect.poll(() => queries).toBeGreaterThan(2);
    const isQuiet = async () => {
      const before = queries;
      await delay(1_500);
      return queries === before;
    };
    await expect.poll(isQuiet).toBe(true);
    // It is not asleep.
    await ended(await run());
  });

  test("a Run's deadline holds for all its tasks together, and for those that wait", async () => {
    await deploy(600n);
    start({ memMib: 1_000, cpus: 2, gpus: 0, cpuFactor: 1 });
    const changed: string[] = [];
    const onRunChanged = (run: string) => void changed.push(run);
    await using deadlines = createRunDeadlines({ log, database: db.database, onRunChanged });
    const given: number[] = [];
    const deadline = createGate();
    programs.set("prover", async (task) => {
      given.push(task.deadlineMs);
      await deadline.opened;
      return { kind: "deadline" };
    });
    const running = await run([], [], { runDeadlineMs: 40_000 });
    await until(running, ({ state }) => state === "proving");
    const waiting = await run([], [], { runDeadlineMs: 300 });
    deadlines.wake();
    expect((await ended(waiting)).failure).toMatchObject({
      code: "DEADLINE",
      step: 0,
      message: "The Run's deadline passed before the task was begun.",
    });
    expect(changed).toEqual([waiting.hash]);
    deadline.open();
    expect((await ended(running)).failure).toMatchObject({
      code: "DEADLINE",
      message: "The program did not end before the deadline of its Run and was stopped.",
    });
    expect(given).toHaveLength(1);
    expect(given[0]).toBeGreaterThan(0);
    expect(given[0]).toBeLessThanOrEqual(40_000);
  });

  test("a node that stops gives its task back, the next one ends it", async () => {
    await deploy();
    start();
    programs.set("prover", untilAborted);
    const tx = await run();
    await until(tx, ({ state }) => state === "proving");
    await scheduler?.[Symbol.asyncDispose]();
    expect((await status(tx)).tasks[0]).toMatchObject({
      state: "queued",
      attempts: [{ failure: { code: "LOST" } }],
    });
    programs.set("prover", (task) => finish(task, []));
    programs.set("verifier", (task) => finish(task, []));
    start();
    expect((await ended(tx)).tasks[0]?.attempts.map(({ number }) => number)).toEqual([1, 2]);
  });

  test("a task that is noted as running and doesn't is found while the node runs", async () => {
    await deploy();
    programs.set("prover", (task) => finish(task, []));
    programs.set("verifier", (task) => finish(task, []));
    const tx = await run();
    const [task] = (await status(tx)).tasks;
    // As when the reply to the claim's commit is lost.
    await db.database.query("update task set state = 'running' where id = $1", [task?.id]);
    start();
    expect((await ended(tx)).state).toBe("complete");
  });

  test("tasks of a node that was killed are begun anew, three times in all", async () => {
    await deploy();
    const tx = await run();
    for (const again of [true, true, false]) {
      const [task] = (await status(tx)).tasks;
      await db.database.query("update task set state = 'running' where id = $1", [task?.id]);
      await db.database.query(
        `insert into task_attempt (task, number, provider, accelerator, image_checksum, queued_at)
         values ($1, $2, 'qemu', 'tcg', '', now())`,
        [task?.id, (task?.attempts.length ?? 0) + 1],
      );
      await recoverTasks({ log, database: db.database }, () => false);
      expect((await status(tx)).tasks[0]?.state).toBe(again ? "queued" : "failed");
    }
    expect((await status(tx)).failure).toMatchObject({
      code: "LOST",
      message: expect.stringContaining("3 attempts"),
    });
  });

  test("a result that comes while the database is away is stored when it is back", async () => {
    await deploy();
    start();
    programs.set("verifier", (task) => finish(task, []));
    programs.set("prover", async (task) => {
      await db.postgres.stop();
      setTimeout(() => void db.postgres.start(), 500);
      return finish(task, [7]);
    });
    const tx = await run();
    await expect
      .poll(async () => (await status(tx).catch(() => null))?.state, { timeout: 40_000 })
      .toBe("complete");
  });
});
