import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RunStatus } from "gevulot-sdk";
import { createProgramMetadata, publicKeyOf, signTransaction, type Transaction } from "gevulot-sdk/protocol";
import { pino } from "pino";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../test/fixtures/testDatabase.ts";
import { createFileFetcher } from "../files/fetchFile.ts";
import { createFileLayout, type FileLayout } from "../files/layout.ts";
import { createIntake, type Intake } from "../intake/intake.ts";
import { createDatabase, type Database } from "../store/database.ts";
import { migrate } from "../store/migrate.ts";
import { readRunStatus } from "../store/readRunStatus.ts";
import { findRun, readTransaction } from "../store/readTransactions.ts";
import { addKnownNodes, type Sharing } from "../store/sharedRuns.ts";
import type { VmOutcome, VmProvider, VmRunOptions, VmTask } from "../vm/provider.ts";
import { rankNodes } from "./assignment.ts";
import { createReportInbox, type ReportInbox } from "./reportInbox.ts";
import { createScheduler } from "./scheduler.ts";
import { createSettler, type Settler } from "./settler.ts";

/** Several nodes with everything but sockets and VMs: what one stores or reports, the others get at once. */
const log = pino({ level: process.env.LOGLEVEL ?? "silent" });
const secretKey = new Uint8Array(32).fill(6);
type Program = (task: VmTask, options: VmRunOptions) => Promise<VmOutcome>;

interface TestNode extends AsyncDisposable {
  readonly key: string;
  readonly database: Database;
  readonly layout: FileLayout;
  readonly intake: Intake;
  readonly settler: Settler;
  readonly inbox: ReportInbox;
  /** Sees others and is seen. */
  isUp: boolean;
}

let db: TestDatabase;
let dir: string;
let nodes: TestNode[] = [];
let names = 0;
let nonce = 0n;
/** What the "VM" of a node does, by program and node. */
let behave: (program: string, node: number) => Program;

beforeAll(async () => {
  db = await createTestDatabase();
});
afterAll(() => db?.[Symbol.asyncDispose]());
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "nodes-"));
  behave = () => (task) => finish(task);
});
afterEach(async () => {
  for (const node of nodes) await node[Symbol.asyncDispose]();
  nodes = [];
  await rm(dir, { recursive: true, force: true });
});

const finish = async (task: VmTask): Promise<VmOutcome> => {
  const { id } = JSON.parse(await readFile(join(task.workspaceDir, "task.json"), "utf8"));
  const result = JSON.stringify({ Ok: { id, data: [1], files: [] } });
  await writeFile(join(task.workspaceDir, "task_result.json"), result);
  return { kind: "exited", exitCode: 0 };
};
const fail: Program = async () => ({ kind: "exited", exitCode: 3 });
const hang: Program = async (_, { signal }) => {
  // It may be asked to end before it begins.
  if (!signal?.aborted) await once(signal as AbortSignal, "abort");
  return { kind: "cancelled" };
};

async function start(count: number, sharing: Sharing, deliveryMs = 60_000): Promise<void> {
  for (let index = 0; index < count; index++) nodes.push(await createTestNode(index, sharing, deliveryMs));
  for (const node of nodes) {
    await addKnownNodes(
      node.database,
      nodes.map(({ key }) => key),
    );
  }
}

async function createTestNode(index: number, sharing: Sharing, deliveryMs: number): Promise<TestNode> {
  const nodeSecretKey = new Uint8Array(32).fill(20 + index);
  const key = publicKeyOf(nodeSecretKey);
  const url = await db.postgres.createDatabase(`n${names++}`);
  const database = await createDatabase({ log }, { url });
  await migrate(database);
  const layout = createFileLayout(join(dir, `${index}`));
  const others = () => (node.isUp ? nodes.filter((other) => other !== node && other.isUp) : []);
  const touch = async (run: string | null) => run !== null && settler.touch(run);
  /** What is under way when a node stops finds its database closed; while it works nothing may fail. */
  const afterItsEnd = (error: Error) => {
    if (nodes.every(({ isUp }) => isUp)) log.error({ err: error }, "a delivery failed");
  };
  const intake = createIntake(
    {
      log,
      database,
      layout,
      files: createFileFetcher(layout.incomingDir),
      onStored: (tx, origin) => {
        const { payload } = tx;
        if (payload.kind === "run") inbox.known(tx.hash);
        if (payload.kind === "cancel") {
          scheduler.cancelRun(payload.parent);
          settler.touch(payload.parent);
        }
        scheduler.wake();
        findRun(database, tx.hash).then(touch, afterItsEnd);
        if (origin === "here") for (const other of others()) other.intake.receive(tx, key).catch(afterItsEnd);
      },
    },
    { execute: true, sharing: () => sharing },
  );
  const provider: VmProvider = {
    name: "process",
    accelerator: "none",
    vsock: { way: "none", reason: "a test" } as unknown as VmProvider["vsock"],
    run: (task, options) => behave(task.imagePath.replace(/^.*\/(.*)\.img$/, "$1"), index)(task, options),
    [Symbol.asyncDispose]: async () => {},
  };
  const onRunChanged = (run: string) => settler.touch(run);
  const scheduler = createScheduler(
    {
      ...{ log, database, layout, provider, intake, nodeSecretKey, onRunChanged },
      fileBaseUrl: "http://127.0.0.1:9",
    },
    {
      capacity: { memMib: 4_096, cpus: 8, gpus: 0, cpuFactor: 2 },
      gpuDevices: [],
      logDirectory: join(dir, `${index}`, "log"),
      taskDeadlineMs: 60_000,
      consoleLimitBytes: 1_000,
      maxOutputBytes: 1_000_000,
      maxOutputFiles: 100,
      taskIdleMs: undefined,
    },
  );
  const inbox = createReportInbox({ database, onRunChanged });
  const settler = createSettler(
    {
      ...{ log, database, nodeSecretKey, ownKey: key, onSettled: scheduler.wake },
      nodes: () =>
        nodes
          .filter((other) => other.isUp || other === node)
          .map(({ key: publicKey }) => ({ publicKey, resources: { memMib: 4_096, cpus: 8, gpus: 0 } })),
      announce: (report) => {
        for (const other of others()) other.inbox.receive(report, key).catch(afterItsEnd);
      },
    },
    { execute: true, provers: 1, verifiers: 3, attempts: 3, deliveryMs },
  );
  const node: TestNode = {
    ...{ key, database, layout, intake, settler, inbox, isUp: true },
    async [Symbol.asyncDispose]() {
      node.isUp = false;
      await settler[Symbol.asyncDispose]();
      await scheduler[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
  return node;
}

const metadata = (name: string, memMib = 512n) =>
  createProgramMetadata({
    name,
    imageFileName: `${name}.img`,
    imageFileUrl: `http://127.0.0.1:1/${name}`,
    imageFileChecksum: "00".repeat(32),
    resources: { memMib, cpus: 1n, gpus: 0n },
  });

async function send(...programs: string[]): Promise<Transaction<"run">> {
  const [first] = nodes as [TestNode];
  for (const [index, name] of programs.entries()) {
    const [prover, verifier] = [metadata(name), metadata(programs[index + 1] ?? name)];
    for (const { layout } of nodes) {
      const path = layout.imagePath(prover.hash, `${name}.img`);
      await mkdir(join(path, ".."), { recursive: true });
      await writeFile(path, "");
    }
    if (index === programs.length - 1 && index > 0) break;
    for (const { layout } of nodes) {
      const path = layout.imagePath(verifier.hash, `${verifier.name}.img`);
      await mkdir(join(path, ".."), { recursive: true });
      await writeFile(path, "");
    }
    const payload = { kind: "deploy", name, prover, verifier } as const;
    await first.intake.accept(signTransaction({ payload, nonce: nonce++, secretKey }));
  }
  const steps = programs.map((name) => ({ program: metadata(name).hash, args: [], inputs: [] }));
  const tx = signTransaction({ payload: { kind: "run", steps }, nonce: nonce++, secretKey });
  await first.intake.accept(tx);
  return tx;
}

const statusAt = async (node: TestNode, tx: Transaction): Promise<RunStatus | null> =>
  readRunStatus(node.database, tx.hash, node.key);
async function everywhere(tx: Transaction, wanted: (status: RunStatus) => boolean): Promise<RunStatus[]> {
  const up = () => nodes.filter(({ isUp }) => isUp);
  // What a node sees that isn't there yet is what a failure of the test should show.
  const look = async () => {
    const seen = await Promise.all(up().map((node) => statusAt(node, tx)));
    return seen.filter((status) => status === null || !wanted(status));
  };
  await expect.poll(look, { timeout: 40_000, interval: 100 }).toEqual([]);
  return (await Promise.all(up().map((node) => statusAt(node, tx)))) as RunStatus[];
}
const nodeOf = (key: string | undefined) => nodes.findIndex((node) => node.key === key);
const ranked = (tx: Transaction) =>
  rankNodes(
    tx.hash,
    nodes.map(({ key }) => key),
  ).map(nodeOf);
const results = (proofs: number, verifications: number) => (status: RunStatus) =>
  status.proofs.length === proofs && status.verifications.length === verifications;

describe("who works", () => {
  test("assigned: one Proof and three Verifications, by the first of the ranking", async () => {
    await start(5, "assigned");
    const worked = new Map<string, number[]>();
    behave = (program, node) => {
      worked.set(program, [...(worked.get(program) ?? []), node]);
      return finish;
    };
    const tx = await send("prover", "verifier");
    const [status] = await everywhere(tx, results(1, 3));
    expect(status?.state).toBe("complete");
    const order = ranked(tx);
    expect(worked.get("prover")).toEqual([order[0]]);
    expect(worked.get("verifier")?.sort()).toEqual(order.slice(0, 3).sort());
  });

  test("all: every node proves, and verifies every Proof", async () => {
    await start(3, "all");
    const tx = await send("prover", "verifier");
    await everywhere(tx, results(3, 9));
  });
});

describe("who takes over", () => {
  test("the next in rank, when a node reports a failure; its report is everywhere", async () => {
    await start(3, "assigned");
    let failed = -1;
    behave = (program, node) => {
      if (program !== "prover" || (failed !== -1 && failed !== node)) return finish;
      failed = node;
      return fail;
    };
    const tx = await send("prover", "verifier");
    const statuses = await everywhere(tx, results(1, 3));
    expect(failed).toBe(ranked(tx)[0]);
    for (const { state, tasks } of statuses) {
      expect(state).toBe("complete");
      const [first, second] = tasks.filter(({ kind }) => kind === "proof");
      expect([first?.state, second?.state].sort()).toEqual(["done", "failed"]);
      expect(first?.failure ?? second?.failure).toMatchObject({ code: "PROGRAM_FAILED", exitCode: 3 });
    }
  });

  test("the next in rank, when a node is gone in the middle of a proof", async () => {
    await start(3, "assigned");
    let gone = -1;
    behave = (program, node) => {
      if (program !== "prover" || (gone !== -1 && gone !== node)) return finish;
      gone = node;
      return hang;
    };
    const tx = await send("prover", "verifier");
    await expect.poll(() => gone).not.toBe(-1);
    await nodes[gone]?.[Symbol.asyncDispose]();
    for (const { isUp, settler } of nodes) if (isUp) settler.touchAll();
    await everywhere(tx, results(1, 2));
    nodes.splice(gone, 1);
  });

  test("the next in rank, when a node does not deliver in its time; the late result is accepted", async () => {
    await start(3, "assigned", 4_000);
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    let late = -1;
    behave = (program, node) => {
      if (program !== "prover" || (late !== -1 && late !== node)) return finish;
      late = node;
      return async (task, { signal }) => {
        if (!signal?.aborted) await Promise.race([released, once(signal as AbortSignal, "abort")]);
        return signal?.aborted ? { kind: "cancelled" } : finish(task);
      };
    };
    const tx = await send("prover", "verifier");
    // On a slow machine the third may have been asked, too.
    await everywhere(tx, (status) => status.proofs.length > 0 && status.verifications.length >= 3);
    const lateKey = nodes[late]?.key;
    const authors = async () => {
      const [status] = await everywhere(tx, ({ state }) => state === "complete");
      const proofs = status?.proofs.map((hash) => readTransaction(nodes[0]!.database, hash)) ?? [];
      return (await Promise.all(proofs)).map((proof) => proof?.author);
    };
    expect(await authors()).not.toContain(lateKey);
    release();
    await expect.poll(authors).toContain(lateKey);
  });
});

describe("the end of a Run", () => {
  test("attempts used up: it failed for good on every node, whichever runs it", async () => {
    await start(5, "assigned");
    let tries = 0;
    behave = () => {
      tries++;
      return fail;
    };
    const tx = await send("prover", "verifier");
    const statuses = await everywhere(tx, ({ state }) => state === "failed");
    for (const { failure } of statuses) expect(failure).toMatchObject({ code: "PROGRAM_FAILED", step: 0 });
    expect(tries).toBe(3);
  });

  test("a Proof that its verifiers reject is a failure of its prover: another one proves", async () => {
    await start(3, "assigned");
    let liar = -1;
    let rejections = 0;
    behave = (program, node) => {
      if (program === "prover" && liar === -1) liar = node;
      if (program === "verifier" && rejections < 3) {
        rejections++;
        return fail;
      }
      return finish;
    };
    const tx = await send("prover", "verifier");
    const [status] = await everywhere(tx, results(2, 3));
    expect(status?.state).toBe("complete");
    expect(liar).toBe(ranked(tx)[0]);
  });

  test("a Cancel stops the task on whatever node it runs", async () => {
    await start(3, "assigned");
    let stopped = false;
    behave = () => async (task, options) => {
      const end = await hang(task, options);
      stopped = true;
      return end;
    };
    const tx = await send("prover", "verifier");
    await everywhere(tx, ({ state }) => state === "proving");
    const cancel = signTransaction({ payload: { kind: "cancel", parent: tx.hash }, nonce: 1n, secretKey });
    await nodes[2]?.intake.accept(cancel);
    const statuses = await everywhere(tx, ({ state }) => state === "failed");
    expect(statuses.map(({ failure }) => failure?.code)).toEqual(Array(3).fill("CANCELLED"));
    await expect.poll(() => stopped).toBe(true);
  });

  test("a stranger's Proof makes no work and no result where work is assigned", async () => {
    await start(3, "assigned");
    behave = () => hang;
    const tx = await send("prover", "verifier");
    const { hash: prover } = metadata("prover");
    const payload = { kind: "proof", parent: tx.hash, prover, proof: Uint8Array.of(), files: [] } as const;
    await nodes[0]?.intake.accept(signTransaction({ payload, nonce: nonce++, secretKey }));
    const [status] = await everywhere(tx, ({ state }) => state === "proving");
    expect(status?.proofs).toEqual([]);
  });

  test("a workflow of four steps, its two first side by side", async () => {
    await start(3, "assigned");
    const tx = await send("one", "two", "three", "four");
    const [status] = await everywhere(tx, results(3, 3));
    expect(status?.state).toBe("complete");
  });
});
