import {
  createProgramMetadata,
  type Payload,
  publicKeyOf,
  signTransaction,
  type Transaction,
} from "gevulot-sdk/protocol";
import { pino } from "pino";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../test/fixtures/testDatabase.ts";
import { createIntakeClock } from "../intake/intakeClock.ts";
import { insertTransactions } from "../store/insertTransactions.ts";
import {
  beginAttempt,
  endTask,
  insertTasks,
  markAttemptSpawned,
  markAttemptStage,
  readQueuedTasks,
  setTurn,
} from "../store/tasks.ts";
import { readRunTrace } from "./readRunTrace.ts";
import { createTraceWriter, KEEP_DAYS } from "./traceWriter.ts";

const log = pino({ level: "silent" });
const secretKey = new Uint8Array(32).fill(9);
const NODE = publicKeyOf(secretKey);
let db: TestDatabase;
let nonce = 0n;
const sign = <P extends Payload>(payload: P) => signTransaction({ payload, nonce: nonce++, secretKey });
const program = (name: string) =>
  createProgramMetadata({
    name,
    imageFileName: `${name}.img`,
    imageFileUrl: `http://127.0.0.1/${name}`,
    imageFileChecksum: "ab".repeat(32),
  });
const [prover, verifier] = [program("prover"), program("verifier")];
const run = sign({
  kind: "run",
  steps: [
    { program: prover.hash, args: [], inputs: [] },
    { program: verifier.hash, args: [], inputs: [] },
  ],
});
const proof = sign({
  kind: "proof",
  parent: run.hash,
  prover: prover.hash,
  proof: new Uint8Array(),
  files: [],
});
const verification = sign({
  kind: "verification",
  parent: proof.hash,
  verifier: verifier.hash,
  verification: new Uint8Array(),
  files: [],
});

beforeAll(async () => {
  db = await createTestDatabase();
  const deploy = sign({ kind: "deploy", name: "d", prover, verifier });
  for (const tx of [deploy, run, proof, verification])
    await db.database.transaction((client) => insertTransactions(client, [tx]));
});
afterAll(() => db?.[Symbol.asyncDispose]());

/** As the intake does it, a millisecond a stage from `atMs` on. */
function timesOf(tx: Transaction, atMs: number, peer: string | null) {
  let now = atMs;
  const clock = createIntakeClock(() => now++);
  clock.received(tx, peer);
  for (const stage of ["verified", "ready", "fetched"] as const) clock.passed(tx, stage);
  expect(clock.timesOf(tx)).toBeNull();
  clock.passed(tx, "stored");
  const times = clock.timesOf(tx);
  if (times === null) throw new Error("it passed all stages");
  return times;
}

test("what passed the intake is noted under its Run, once, and nothing of what is not stored", async () => {
  await using writer = createTraceWriter({ log, database: db.database });
  const startMs = Date.now();
  const unknown = sign({ kind: "run", steps: [{ program: prover.hash, args: [], inputs: [] }] });
  writer.add(run, timesOf(run, startMs, null));
  writer.add(proof, timesOf(proof, startMs + 10, "10.0.0.1:9999"));
  writer.add(verification, timesOf(verification, startMs + 20, null));
  writer.add(run, timesOf(run, startMs + 500, null));
  writer.add(unknown, timesOf(unknown, startMs, null));
  writer.add(sign({ kind: "empty" }), timesOf(sign({ kind: "empty" }), startMs, null));
  await writer.flush();
  const trace = await readRunTrace(db.database, run.hash, NODE);
  expect(trace).toMatchObject({ run: run.hash, node: NODE, leftOut: 0 });
  const spans = trace?.spans.map(({ name, kind, peer, startedAt }) => {
    return [name, kind, peer, Date.parse(startedAt) - startMs];
  });
  expect(spans).toEqual([
    ["accept", "run", null, 0],
    ["store", "run", null, 3],
    ["accept", "proof", "10.0.0.1:9999", 10],
    ["store", "proof", null, 13],
    ["accept", "verification", null, 20],
    ["store", "verification", null, 23],
  ]);
  expect(await readRunTrace(db.database, unknown.hash, NODE)).toBeNull();
});

test("the stages of a task are spans, once it is this node's turn", async () => {
  const { database } = db;
  const work = { run: run.hash, step: 0, kind: "proof", program: prover.hash, proof: null } as const;
  await insertTasks(database, [work], "standby");
  const names = async () =>
    (await readRunTrace(database, run.hash, NODE))?.spans.flatMap(({ task, name }) => (task ? [name] : []));
  expect(await names()).toEqual([]);
  await setTurn(database, work, true);
  expect(await names()).toEqual(["assign", "queue"]);
  const [task] = await readQueuedTasks(database, 10);
  if (task === undefined) throw new Error("the task is queued");
  const number = await database.transaction((client) =>
    beginAttempt(client, task, { provider: "qemu", accelerator: "tcg", imageChecksum: "" }),
  );
  if (number === null) throw new Error("the task was free");
  await markAttemptSpawned(database, task.id, number, { pid: 7, vsock: "none" }, new Date());
  for (const stage of ["booted", "program", "taskTaken", "result", "leaving", "gone"] as const)
    await markAttemptStage(database, task.id, number, stage, new Date());
  await endTask(database, task.id, number, { failure: null, consoleTail: "", result: null });
  expect(new Set(await names())).toEqual(
    new Set([
      ...[
        "assign",
        "queue",
        "prepare",
        "kernel",
        "init",
        "program",
        "task-taken",
        "result",
        "stop-vm",
        "collect",
      ],
    ]),
  );
  const spans = (await readRunTrace(database, run.hash, NODE))?.spans ?? [];
  expect(spans.every(({ endedAt }) => endedAt !== null)).toBe(true);
});

test("what is older than a month is left out when a node writes for the first time", async () => {
  await using writer = createTraceWriter({ log, database: db.database });
  const late = sign({
    kind: "proof",
    parent: run.hash,
    prover: prover.hash,
    proof: new Uint8Array([1]),
    files: [],
  });
  await db.database.transaction((client) => insertTransactions(client, [late]));
  const dayMs = 86_400_000;
  writer.add(late, timesOf(late, Date.now() - (KEEP_DAYS + 1) * dayMs, null));
  await writer.flush();
  const trace = await readRunTrace(db.database, run.hash, NODE);
  expect(trace?.spans.some(({ tx }) => tx === late.hash)).toBe(false);
  expect(trace?.spans.some(({ tx }) => tx === proof.hash)).toBe(true);
});

test("a database that is away costs notes, and nothing else", async () => {
  const away = { ...db.database, query: () => Promise.reject(new Error("away")) };
  await using writer = createTraceWriter({ log, database: away });
  writer.add(run, timesOf(run, 0, null));
  await writer.flush();
});
