import { access, mkdir, mkdtemp, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../test/fixtures/testDatabase.ts";
import { createFileLayout } from "./layout.ts";
import { prune } from "./prune.ts";

const DAY_MS = 86_400_000;
const PROGRAM = "aa".repeat(32);
const [OLD, OPEN, NEW, PROOF] = ["01", "02", "03", "04"].map((byte) => byte.repeat(32)) as [
  string,
  string,
  string,
  string,
];
const MIB = 2 ** 20;

let db: TestDatabase;
let root: string;

beforeAll(async () => {
  db = await createTestDatabase();
  await sql("insert into program values ($1, 'p', 'i', 'u', 'c')", PROGRAM);
  for (const [hash, days, state] of [
    [OLD, 10, "done"],
    [OPEN, 20, "running"],
    [NEW, 1, "failed"],
  ]) {
    await sql(
      `insert into transaction (author, hash, kind, nonce, signature, created_at)
       values ('a', $1, 'run', 0, 's', now() - make_interval(days => $2))`,
      hash,
      days,
    );
    await sql(
      `insert into task (id, run, step, kind, program, state, ended_at)
       values (left($1, 20), $1, 0, 'proof', $2, $3, (select created_at from transaction where hash = $1))`,
      hash,
      PROGRAM,
      state,
    );
  }
  await sql(
    "insert into transaction (author, hash, kind, nonce, signature) values ('a', $1, 'proof', 0, 's')",
    PROOF,
  );
  await sql("insert into proof values ($1, $2, $3, '')", PROOF, OLD, PROGRAM);
});
beforeEach(async () => {
  if (root) await rm(root, { recursive: true, force: true });
  root = await mkdtemp(join(tmpdir(), "prune-"));
  for (const hash of [OLD, OPEN, NEW, PROOF]) {
    await put(join("txfiles", hash, "workspace", "in.bin"));
    await put(join("log", hash, "stdout.log"));
  }
  await put(join("images", PROGRAM, "x.img"));
  await put(join("uploads", "05".repeat(32)));
  await put(join("uploads", "06".repeat(32)));
  const old = (Date.now() - 8 * DAY_MS) / 1_000;
  await utimes(join(root, "uploads", "05".repeat(32)), old, old);
});
afterAll(async () => {
  await db?.[Symbol.asyncDispose]();
  await rm(root, { recursive: true, force: true });
});

const sql = (text: string, ...values: unknown[]) => db.database.query(text, values);
async function put(path: string): Promise<void> {
  await mkdir(join(root, path, ".."), { recursive: true });
  await writeFile(join(root, path), Buffer.alloc(MIB));
}
const deps = () => ({
  log: pino({ level: "silent" }),
  database: db.database,
  layout: createFileLayout(root),
});
const options = () => ({ logDirectory: join(root, "log") });
async function left(): Promise<string[]> {
  const found: string[] = [];
  for (const path of [
    ...[OLD, OPEN, NEW, PROOF].flatMap((hash) => [`txfiles/${hash}`, `log/${hash}`]),
    `images/${PROGRAM}`,
    `uploads/${"05".repeat(32)}`,
    `uploads/${"06".repeat(32)}`,
  ]) {
    await access(join(root, path)).then(
      () => found.push(path.replace(/([0-9a-f]{2})\1{31}/, "$1")),
      () => {},
    );
  }
  return found;
}
const OPEN_AND_NEW = ["txfiles/02", "log/02", "txfiles/03", "log/03", "images/aa"];

describe("prune", () => {
  test("by age: what belongs to a Run that ended, its Proofs' files too; never of open tasks, never images", async () => {
    const before = await left();
    expect(await prune(deps(), { ...options(), keepDays: 7, dryRun: true })).toEqual({
      removed: 5,
      freedBytes: 5 * MIB,
      keptBytes: 5 * MIB,
    });
    expect(await left()).toEqual(before);
    expect((await prune(deps(), { ...options(), keepDays: 7 })).removed).toBe(5);
    expect(await left()).toEqual([...OPEN_AND_NEW, "uploads/06"]);
    expect((await prune(deps(), { ...options(), keepDays: 7 })).removed).toBe(0);
  });

  test("by size: the oldest first, until it fits; never of open tasks", async () => {
    const gb = (mib: number) => (mib * MIB) / 2 ** 30;
    await prune(deps(), { ...options(), maxDiskGb: gb(5.5) });
    expect(await left()).toEqual([...OPEN_AND_NEW, "uploads/06"]);
    await prune(deps(), { ...options(), maxDiskGb: 0 });
    expect(await left()).toEqual(["txfiles/02", "log/02", "images/aa", "uploads/06"]);
  });
});
