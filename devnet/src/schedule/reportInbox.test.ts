import type { TaskStatus } from "gevulot-sdk";
import { createProgramMetadata, publicKeyOf, signTransaction, type Transaction } from "gevulot-sdk/protocol";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../test/fixtures/testDatabase.ts";
import type { Database } from "../store/database.ts";
import { insertTransactions } from "../store/insertTransactions.ts";
import { addKnownNodes } from "../store/sharedRuns.ts";
import { readReports } from "../store/taskReports.ts";
import { createReportInbox } from "./reportInbox.ts";
import { signReport } from "./taskReport.ts";

const NODE = new Uint8Array(32).fill(7);
const SENDER = new Uint8Array(32).fill(6);
const PROGRAM = createProgramMetadata({
  name: "prover",
  imageFileName: "prover.img",
  imageFileUrl: "http://127.0.0.1:1/prover",
  imageFileChecksum: "00".repeat(32),
  resources: { memMib: 512n, cpus: 1n, gpus: 0n },
});
const DEPLOY = signTransaction({
  payload: { kind: "deploy", name: "a program", prover: PROGRAM, verifier: PROGRAM },
  ...{ nonce: 0n, secretKey: SENDER },
});
const TASK = {
  ...{ step: 0, kind: "proof", program: PROGRAM.hash, programName: "prover", proof: null },
  ...{ state: "running", waitsFor: null, attempts: [], result: null, failure: null },
} as unknown as TaskStatus;
const newRun = (nonce: bigint) =>
  signTransaction({
    payload: { kind: "run", steps: [{ program: PROGRAM.hash, args: [], inputs: [] }] },
    ...{ nonce, secretKey: SENDER },
  });

let db: TestDatabase;
let database: Database;
beforeAll(async () => {
  db = await createTestDatabase();
  database = db.database;
  await addKnownNodes(database, [publicKeyOf(NODE)]);
  await store(DEPLOY);
});
afterAll(() => db?.[Symbol.asyncDispose]());

/** Of the Run's task: an id stands for one task alone. */
const reportOf = (run: string, node = NODE) =>
  signReport({ run, sentAt: new Date(), task: { ...TASK, id: run } }, node);
const store = (tx: Transaction) => database.transaction((client) => insertTransactions(client, [tx]));

it("takes up a report that came before its Run", async () => {
  const run = newRun(1n);
  const changed: string[] = [];
  const inbox = createReportInbox({ database, onRunChanged: (hash) => changed.push(hash) });
  expect(await inbox.receive(reportOf(run.hash), "peer")).toBe("waiting");
  expect(await readReports(database, run.hash)).toEqual([]);
  await store(run);
  inbox.known(run.hash);
  await expect.poll(() => changed).toEqual([run.hash]);
  expect(await readReports(database, run.hash)).toHaveLength(1);
});

it("takes up a report whose Run is stored while it is looked for", async () => {
  const run = newRun(2n);
  const changed: string[] = [];
  let looks = 0;
  const slow: Database = {
    ...database,
    transaction: async (work) => {
      const seen = await database.transaction(work);
      if (looks++ === 0) {
        await store(run);
        inbox.known(run.hash);
      }
      return seen;
    },
  };
  const inbox = createReportInbox({ database: slow, onRunChanged: (hash) => changed.push(hash) });
  expect(await inbox.receive(reportOf(run.hash), "peer")).toBe("waiting");
  await expect.poll(() => changed).toEqual([run.hash]);
});

it("takes up a report that came before its node was known, and passes it on", async () => {
  const run = newRun(3n);
  const stranger = new Uint8Array(32).fill(9);
  const report = reportOf(run.hash, stranger);
  const takenUp: Uint8Array[] = [];
  const onTakenUp = (bytes: Uint8Array) => void takenUp.push(bytes);
  const inbox = createReportInbox({ database, onRunChanged: () => {}, onTakenUp });
  expect(await inbox.receive(report, "peer")).toBe("waiting");
  await store(run);
  inbox.known(run.hash);
  // It waits for its node now.
  await expect.poll(() => inbox.receive(report, "peer")).toBe("waiting");
  expect(await readReports(database, run.hash)).toEqual([]);
  await addKnownNodes(database, [publicKeyOf(stranger)]);
  inbox.known(publicKeyOf(stranger));
  await expect.poll(() => takenUp).toEqual([report]);
  expect(await readReports(database, run.hash)).toHaveLength(1);
});
