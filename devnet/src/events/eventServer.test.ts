import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../test/fixtures/testDatabase.ts";
import { createEventServer, type EventServer } from "./eventServer.ts";
import { createRunHub } from "./runHub.ts";

const PROVER = "aa".repeat(32);
const VERIFIER = "bb".repeat(32);
const PROOF = "cc".repeat(32);
const VERIFICATION = "dd".repeat(32);

let db: TestDatabase;
let events: EventServer;
let server: Server;
const hub = createRunHub();
let runs = 0;

beforeAll(async () => {
  db = await createTestDatabase();
  const deps = { log: pino({ level: "silent" }), database: db.database, hub };
  events = createEventServer(deps, { heartbeatMs: 60_000, maxListeners: 3 });
  server = createServer((request, response) => {
    if (!events.serve(request, response)) response.writeHead(418).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  for (const hash of [PROVER, VERIFIER]) {
    await sql("insert into program values ($1, 'p', 'i', 'u', 'c')", hash);
  }
});
afterAll(async () => {
  await events?.[Symbol.asyncDispose]();
  server?.closeAllConnections();
  await new Promise((resolve) => server?.close(resolve));
  await db?.[Symbol.asyncDispose]();
});

const sql = (text: string, ...values: unknown[]) => db.database.query(text, values);
const addTx = (hash: string, kind: string) =>
  sql(
    "insert into transaction (author, hash, kind, nonce, signature) values ('a', $1, $2, 0, 's')",
    hash,
    kind,
  );
async function addRun(): Promise<string> {
  const run = (++runs).toString(16).padStart(64, "0");
  await addTx(run, "run");
  await sql("insert into workflow_step (tx, sequence, program, args) values ($1, 1, $2, '{}')", run, PROVER);
  await sql(
    "insert into workflow_step (tx, sequence, program, args) values ($1, 2, $2, '{}')",
    run,
    VERIFIER,
  );
  await sql(
    "insert into task (id, run, step, kind, program) values ($1, $2, 0, 'proof', $3)",
    `p${runs}`,
    run,
    PROVER,
  );
  return run;
}
const addAttempt = (task: string) =>
  sql(
    `insert into task_attempt (task, number, provider, accelerator, image_checksum, queued_at)
     values ($1, 1, 'qemu', 'tcg', 'c', now())`,
    task,
  );

interface Stream {
  /** `id name` of each event so far. */
  readonly seen: string[];
  readonly texts: string[];
  readonly status: number;
  readonly ended: Promise<void>;
  cut(): void;
}

async function listen(run: string, lastId?: string): Promise<Stream> {
  const controller = new AbortController();
  const response = await fetch(
    `http://127.0.0.1:${(server.address() as AddressInfo).port}/events/runs/${run}`,
    {
      signal: controller.signal,
      headers: lastId ? { "last-event-id": lastId } : {},
    },
  );
  const seen: string[] = [];
  const texts: string[] = [];
  const ended = (async () => {
    let text = "";
    for await (const chunk of response.body ?? []) {
      text += Buffer.from(chunk).toString();
      const parts = text.split("\n\n");
      text = parts.pop() ?? "";
      for (const part of parts) {
        const match = /^id: ([\d,]+)\nevent: (\S+)\ndata: (.*)$/.exec(part);
        if (match) {
          seen.push(`${match[1]} ${match[2]}`);
          texts.push(match[3] as string);
        }
      }
    }
  })().catch(() => {});
  return { seen, texts, status: response.status, ended, cut: () => controller.abort() };
}
const until = (stream: Stream, length: number) => expect.poll(() => stream.seen.length).toBe(length);

describe("events of a Run", () => {
  test("come as they are stored, resume after a cut, and end with the Verification", async () => {
    const run = await addRun();
    const [first, second] = [await listen(run), await listen(run)];
    await until(first, 1);
    expect(JSON.parse(first.texts[0] as string)).toEqual({
      run,
      at: expect.stringMatching(/^\d{4}-.*Z$/),
    });
    await addAttempt(`p${runs}`);
    hub.notify(run);
    await sql(
      "update task_attempt set booted_at = now(), program_started_at = now() where task = $1",
      `p${runs}`,
    );
    hub.notify(run);
    await until(first, 4);
    expect(first.seen).toEqual(["1 submitted", "1004 scheduled", "1005 vm-started", "1006 proving"]);
    first.cut();

    await sql("update task set state = 'done', ended_at = now() where id = $1", `p${runs}`);
    await addTx(PROOF, "proof");
    await sql("insert into proof values ($1, $2, $3, '')", PROOF, run, PROVER);
    await sql(
      "insert into task (id, run, step, kind, program, proof) values ($1, $2, 1, 'verification', $3, $4)",
      `v${runs}`,
      run,
      VERIFIER,
      PROOF,
    );
    await addAttempt(`v${runs}`);
    const resumed = await listen(run, "1004");
    await until(resumed, 4);
    expect(resumed.seen).toEqual(["1005 vm-started", "1006 proving", "2000 proof", "3004 scheduled"]);

    // Of another node, which verifies beside.
    const status = {
      ...{ id: "4f", step: 1, kind: "verification", state: "running", failure: null },
      attempts: [{ number: 1, startedAt: new Date(), bootedAt: null, programStartedAt: null, endedAt: null }],
    };
    await sql(
      "insert into task_report (author, task, run, sent_at, status, bytes, id) values ('n', '4f', $1, now(), $2, '', $3)",
      run,
      JSON.stringify(status),
      "ee".repeat(32),
    );
    hub.notify(run);
    await until(resumed, 5);
    expect(resumed.seen.slice(4)).toEqual(["4004,3004 scheduled"]);
    expect(JSON.parse(resumed.texts[4] as string)).toMatchObject({ task: "4f", step: 1, attempt: 1 });

    await sql("update task_attempt set program_started_at = now() where task = $1", `v${runs}`);
    await addTx(VERIFICATION, "verification");
    await sql("insert into verification values ($1, $2, $3, '')", VERIFICATION, PROOF, VERIFIER);
    hub.notify(run);
    await Promise.all([resumed.ended, second.ended]);
    // What a task that runs beside adds has a lower id: how far each has come is told, too.
    const last = ["4004,3005 vm-started", "4004,3006 verifying", "1000000000,3006,4004 verified"];
    expect(resumed.seen.slice(5)).toEqual(last);
    const again = await listen(run, "4004,3004");
    await again.ended;
    expect(again.seen).toEqual(last);
    expect(JSON.parse(resumed.texts.at(-1) as string)).toMatchObject({ verification: VERIFICATION });
    // Who listened all the time, and who comes late, hear the same.
    const names = ({ seen }: Stream) => seen.map((line) => line.replace(/^[\d,]+ /, "")).sort();
    const late = await listen(run);
    await late.ended;
    expect(names(second)).toEqual(names(late));
    expect((await listen(run, "1000000000")).status).toBe(204);
  });

  test("a failure ends them, with its reason", async () => {
    const run = await addRun();
    const stream = await listen(run);
    const failure = { code: "DEADLINE", message: "too late", step: 0 };
    await sql(
      "update task set state = 'failed', failure = $2, ended_at = now() where run = $1",
      run,
      JSON.stringify(failure),
    );
    hub.notify(run);
    await stream.ended;
    expect(stream.seen).toEqual(["1 submitted", "1000000000 failed"]);
    expect(JSON.parse(stream.texts[1] as string)).toMatchObject({ run, step: 0, failure });
  });

  test("unknown Runs and paths are 404, listeners are bounded and leave nothing", async () => {
    expect((await listen("ee".repeat(32))).status).toBe(404);
    expect((await listen("nothing")).status).toBe(404);
    const run = await addRun();
    const streams = [await listen(run), await listen(run), await listen(run)];
    expect((await listen(run)).status).toBe(503);
    for (const stream of streams) stream.cut();
    await expect.poll(async () => (await listen(run)).status).toBe(200);
  });
});
