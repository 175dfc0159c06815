import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { blake3 } from "@noble/hashes/blake3.js";
import {
  bytesToHex,
  createProgramMetadata,
  type Payload,
  publicKeyOf,
  signTransaction,
  stringifyJson,
} from "gevulot-sdk/protocol";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createFileHost, type FileHost } from "../../../test/fixtures/fileHost.ts";
import { createTestDatabase, type TestDatabase } from "../../../test/fixtures/testDatabase.ts";
import { createFileFetcher } from "../files/fetchFile.ts";
import { createFileLayout } from "../files/layout.ts";
import { createIntake } from "../intake/intake.ts";
import type { Method } from "./method.ts";
import { createMethods } from "./methods.ts";

const alice = new Uint8Array(32).fill(3);
const bob = new Uint8Array(32).fill(4);
const ABSENT = "ab".repeat(32);

let db: TestDatabase;
let host: FileHost;
let dir: string;
let methods: Record<string, Method>;
const runs: string[] = [];
let nonce = 0n;

const sign = <P extends Payload>(payload: P, key = alice) =>
  signTransaction({ payload, nonce: nonce++, secretKey: key });
const program = (name: string) =>
  createProgramMetadata({
    name,
    imageFileName: "x.img",
    imageFileUrl: `${host.url}/image`,
    imageFileChecksum: bytesToHex(blake3(new TextEncoder().encode("image"))),
    resources: { memMib: 512n, cpus: 1n, gpus: 2n ** 60n },
  });
const call = async (name: string, parameter: unknown) => {
  const method = methods[name] as Method;
  return JSON.parse(stringifyJson(await method.run(method.parse(parameter))));
};

beforeAll(async () => {
  db = await createTestDatabase();
  host = await createFileHost();
  host.files.set("/image", "image");
  dir = await mkdtemp(join(tmpdir(), "lists-"));
  const { database } = db;
  const deps = {
    log: pino({ level: "silent" }),
    database,
    layout: createFileLayout(dir),
    files: createFileFetcher(join(dir, "incoming")),
    onStored: () => {},
  };
  const intake = createIntake(deps, { execute: true });
  methods = createMethods({
    database,
    intake,
    rpcHost: "127.0.0.1:9995",
    takesUploads: true,
    publicKey: `04${"ab".repeat(64)}`,
    nodeInfo: () => {
      throw new Error("no network in this test");
    },
  });
  const [prover, verifier] = [program("prover"), program("verifier")];
  await intake.accept(sign({ kind: "deploy", name: "d", prover, verifier }));
  const steps = [prover, verifier].map(({ hash }) => ({ program: hash, args: [], inputs: [] }));
  for (const key of [alice, alice, bob, alice, bob]) {
    const run = sign({ kind: "run", steps }, key);
    await intake.accept(run);
    runs.unshift(run.hash);
  }
  const [first, second] = [runs[4] as string, runs[3] as string];
  for (const parent of [first, second]) {
    const proof = sign({
      kind: "proof",
      parent,
      prover: prover.hash,
      proof: Uint8Array.of(1),
      files: [],
    });
    await intake.accept(proof);
    if (parent === second) continue;
    await intake.accept(
      sign({
        kind: "verification",
        parent: proof.hash,
        verifier: verifier.hash,
        verification: Uint8Array.of(),
        files: [],
      }),
    );
  }
});
afterAll(async () => {
  await db?.[Symbol.asyncDispose]();
  await host?.[Symbol.asyncDispose]();
  await rm(dir, { recursive: true, force: true });
});

describe("lists", () => {
  test("Runs, newest first, page by page, each once; even where many have one time", async () => {
    await db.database.query(
      "update transaction set created_at = '2026-01-01T00:00:00.123456Z' where hash = any($1)",
      [runs.slice(0, 3)],
    );
    await db.database.query("update transaction set created_at = '2025-01-01' where hash = $1", [runs[4]]);
    const seen: string[] = [];
    let before: string | undefined;
    do {
      const page = await call("listRuns", { limit: 2, ...(before && { before }) });
      seen.push(...page.items.map((item: { run: string }) => item.run));
      before = page.next ?? undefined;
    } while (before);
    expect(seen).toHaveLength(5);
    expect(new Set(seen)).toEqual(new Set(runs));
    expect([seen[0], seen[4]]).toEqual([runs[3], runs[4]]);
  });

  test("Runs by author, state and time", async () => {
    const hashes = async (filter: object) =>
      (await call("listRuns", filter)).items.map((item: { run: string }) => item.run).sort();
    const of = (...indices: number[]) => indices.map((index) => runs[index]).sort();
    expect(await hashes({ author: publicKeyOf(bob) })).toEqual(of(0, 2));
    expect(await hashes({ state: "complete" })).toEqual(of(4));
    expect(await hashes({ state: "verifying" })).toEqual(of(3));
    expect(await hashes({ state: "submitted", author: publicKeyOf(alice) })).toEqual(of(1));
    expect(await hashes({ state: "failed" })).toEqual([]);
    expect(await hashes({ program: program("verifier").hash, state: "complete" })).toEqual(of(4));
    expect(await hashes({ program: ABSENT })).toEqual([]);
    expect(await hashes({ before: "2025-06-01T00:00:00Z" })).toEqual(of(4));
    expect((await call("listRuns", { state: "complete" })).items[0]).toEqual({
      run: runs[4],
      author: publicKeyOf(alice),
      state: "complete",
      submittedAt: "2025-01-01T00:00:00.000000Z",
      programs: [program("prover").hash, program("verifier").hash],
      proofs: 1,
      verifications: 1,
    });
  });

  test("programs, and one of them", async () => {
    const { items, next } = await call("listPrograms", {});
    expect(next).toBeNull();
    expect(items.map(({ name }: { name: string }) => name).sort()).toEqual(["prover", "verifier"]);
    expect(items[0]).toMatchObject({ memMib: 512, cpus: 1, author: publicKeyOf(alice) });
    expect((await call("listPrograms", { author: publicKeyOf(bob) })).items).toEqual([]);
    const { hash } = program("prover");
    const method = methods.getProgram as Method;
    const found = stringifyJson(await method.run(method.parse([...Buffer.from(hash, "hex")])));
    expect(found).toContain('"resource_requirements":{"mem":512,"cpus":1,"gpus":1152921504606846976}');
    expect(JSON.parse(found)).toMatchObject({ name: "prover", hash: [...Buffer.from(hash, "hex")] });
    await expect(call("getProgram", [...Buffer.from(ABSENT, "hex")])).rejects.toMatchObject({
      code: "TX_UNKNOWN",
    });
  });

  test("what is found by the beginning of its hash", async () => {
    const run = runs[4] as string;
    const tree = await call("getTransactionTree", [...Buffer.from(run, "hex")]);
    const hex = (bytes: number[]) => Buffer.from(bytes).toString("hex");
    const [proof] = tree.Root.children;
    const [verification] = proof.Node.children;
    const prover = program("prover").hash;
    const { deploy } = (await call("listPrograms", {})).items[0];
    for (const [hash, kind, of, name] of [
      [run, "run", run, null],
      [hex(proof.Node.hash), "proof", run, null],
      [hex(verification.Leaf.hash), "verification", run, null],
      [prover, "program", null, "prover"],
      [deploy, "deploy", null, "d"],
    ]) {
      const wanted = [{ hash, kind, run: of, name }];
      expect(await call("findHashes", { prefix: hash })).toEqual(wanted);
      expect(await call("findHashes", { prefix: hash.slice(0, 12) })).toEqual(wanted);
    }
    expect(await call("findHashes", { prefix: ABSENT })).toEqual([]);
  });

  test("tasks by state and author", async () => {
    const all = await call("listTasks", { limit: 100 });
    expect(all.items).toHaveLength(7);
    expect(all.items[0]).toMatchObject({ state: "queued", attempts: 0, failure: null, endedAt: null });
    expect((await call("listTasks", { state: "running" })).items).toEqual([]);
    expect((await call("listTasks", { author: publicKeyOf(bob) })).items).toHaveLength(2);
    const page = await call("listTasks", { limit: 3 });
    const rest = await call("listTasks", { before: page.next });
    expect([...page.items, ...rest.items]).toEqual(all.items);
  });

  test.each([
    ["listRuns", 7],
    ["listRuns", null],
    ["listRuns", { limit: 0 }],
    ["listRuns", { limit: 101 }],
    ["listRuns", { limit: 1.5 }],
    ["listRuns", { state: "queued" }],
    ["listRuns", { author: "04ab" }],
    ["listRuns", { before: "yesterday" }],
    ["listRuns", { before: "2026-01-01T00:00:00.000000Z_'; drop table task" }],
    ["listRuns", { befor: "2026-01-01T00:00:00Z" }],
    ["listPrograms", { state: "complete" }],
    ["listTasks", { state: "submitted" }],
    ["getProgram", [1, 2]],
    ["listRuns", { program: "ab" }],
    ["findHashes", { prefix: "abc" }],
    ["findHashes", { prefix: "ABCD" }],
    ["findHashes", { prefix: "abc%" }],
    ["findHashes", {}],
  ])("%s refuses %j", async (name, parameter) => {
    await expect(call(name, parameter)).rejects.toMatchObject({
      code: expect.stringMatching(/^(PARAMETER_INVALID|WIRE_VALUE_INVALID)$/),
    });
  });

  test("rpc.discover describes each method", async () => {
    const discover = methods["rpc.discover"] as Method;
    const document = (await discover.run(discover.parse(undefined))) as {
      openrpc: string;
      methods: { name: string; params: { schema: object }[]; result: { schema: object } }[];
    };
    expect(document.openrpc).toMatch(/^1\./);
    expect(document.methods.map(({ name }) => name)).toEqual(Object.keys(methods));
    for (const { name, params, result } of document.methods) {
      expect(params).toHaveLength(["rpc.discover", "getFileServer", "getNodeInfo"].includes(name) ? 0 : 1);
      for (const { schema } of [...params, result]) expect(schema).toHaveProperty("$schema");
    }
    const list = document.methods.find(({ name }) => name === "listRuns");
    expect(list?.params[0]?.schema).toMatchObject({
      properties: { limit: { maximum: 100 } },
      additionalProperties: false,
    });
  });
});
