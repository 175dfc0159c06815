import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { blake3 } from "@noble/hashes/blake3.js";
import {
  bytesToHex,
  createProgramMetadata,
  type Payload,
  publicKeyOf,
  signTransaction,
  type Transaction,
} from "gevulot-sdk/protocol";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { createFileHost, type FileHost } from "../../../test/fixtures/fileHost.ts";
import { nanosRoot } from "../../../test/fixtures/nanosVolume.ts";
import { createTestDatabase, type TestDatabase } from "../../../test/fixtures/testDatabase.ts";
import { createFileFetcher } from "../files/fetchFile.ts";
import { createFileLayout, type FileLayout } from "../files/layout.ts";
import { migrate } from "../store/migrate.ts";
import { readRunStatus } from "../store/readRunStatus.ts";
import { readTransaction, readTree } from "../store/readTransactions.ts";
import { createIntake, type Intake } from "./intake.ts";

const log = pino({ level: "silent" });
const secretKey = new Uint8Array(32).fill(3);
const NODE_KEY = publicKeyOf(secretKey);
const otherKey = new Uint8Array(32).fill(4);
const checksum = (text: string) => bytesToHex(blake3(new TextEncoder().encode(text)));

let db: TestDatabase;
let host: FileHost;
let dir: string;
let layout: FileLayout;
let intake: Intake;
let stored: Transaction[];
let nonce = 0n;

beforeAll(async () => {
  db = await createTestDatabase();
  host = await createFileHost();
  dir = await mkdtemp(join(tmpdir(), "intake-"));
  layout = createFileLayout(dir);
  stored = [];
  const deps = {
    log,
    database: db.database,
    layout,
    files: createFileFetcher(layout.incomingDir),
    onStored: (tx: Transaction) => stored.push(tx),
  };
  intake = createIntake(deps, { execute: true });
  for (const name of ["prover", "verifier", "third", "witness"]) host.files.set(`/${name}`, name);
});
afterAll(async () => {
  await db?.[Symbol.asyncDispose]();
  await host?.[Symbol.asyncDispose]();
  await rm(dir, { recursive: true, force: true });
});

const sign = <P extends Payload>(payload: P, key = secretKey) =>
  signTransaction({ payload, nonce: nonce++, secretKey: key });
const program = (name: string, more: { url?: string; checksum?: string; fileName?: string } = {}) =>
  createProgramMetadata({
    name,
    imageFileName: more.fileName ?? `${name}.img`,
    imageFileUrl: more.url ?? `${host.url}/${name}`,
    imageFileChecksum: more.checksum ?? checksum(name),
    resources: null,
  });
const deploy = (prover = program("prover"), verifier = program("verifier")) =>
  sign({ kind: "deploy", name: "test", prover, verifier });
const input = (fileName = "/workspace/witness.bin", more = {}) =>
  ({
    kind: "input",
    fileName,
    fileUrl: `${host.url}/witness`,
    checksum: checksum("witness"),
    ...more,
  }) as const;
const run = (inputs: readonly object[] = [input()], args: string[] = []) =>
  sign({
    kind: "run",
    steps: [
      { program: program("prover").hash, args, inputs: inputs as [] },
      { program: program("verifier").hash, args: [], inputs: [] },
    ],
  });

describe("intake", () => {
  test("a Deploy brings its images, a Run its inputs and its first task", async () => {
    await intake.accept(deploy());
    expect(await readFile(layout.imagePath(program("prover").hash, "prover.img"), "utf8")).toBe("prover");
    const tx = run([input()], ["a b", "", "你好", "x".repeat(600)]);
    await intake.accept(tx);
    expect(await readFile(layout.inputPath(tx.hash, "/workspace/witness.bin"), "utf8")).toBe("witness");
    expect(await readTransaction(db.database, tx.hash)).toEqual(tx);
    expect(await readRunStatus(db.database, tx.hash, NODE_KEY)).toMatchObject({
      state: "submitted",
      tasks: [{ step: 0, kind: "proof", state: "queued", programName: "prover", attempts: [] }],
    });
  });

  test("a Deploy of a Nanos image without the node's share is refused, unless it comes from a peer", async () => {
    const image = nanosRoot({ "%7": "/workspace" });
    host.files.set("/nanos", image);
    const unmounted = program("nanos", { checksum: bytesToHex(blake3(image)) });
    await expect(intake.accept(deploy(unmounted))).rejects.toMatchObject({ code: "IMAGE_UNMOUNTED" });
    const tx = deploy(unmounted);
    await intake.receive(tx, "a peer");
    await vi.waitUntil(() => stored.some(({ hash }) => hash === tx.hash), { timeout: 40_000 });
  });

  test("duplicates get the first one's answer: no second download, no second task", async () => {
    const tx = run([input("/workspace/once.bin")]);
    const before = host.requests.length;
    await Promise.all([intake.accept(tx), intake.accept(tx), intake.accept(tx)]);
    await intake.accept(tx);
    expect(host.requests.length - before).toBe(1);
    expect((await readRunStatus(db.database, tx.hash, NODE_KEY))?.tasks).toHaveLength(1);
    expect(stored.filter(({ hash }) => hash === tx.hash)).toHaveLength(1);
  });

  test("the same hash with another content: the first stored wins", async () => {
    const tx = run([input()], ["ab", "c"]);
    await intake.accept(tx);
    const steps = tx.payload.steps.map((step, index) =>
      index === 0 ? { ...step, args: ["a", "bc"] } : step,
    );
    await intake.accept({ ...tx, payload: { ...tx.payload, steps } });
    expect(await readTransaction(db.database, tx.hash)).toEqual(tx);
  });

  test("Proof and Verification: the next task, the tree, the dashboard's channel", async () => {
    const tx = run();
    await intake.accept(tx);
    const proof = sign({
      kind: "proof",
      parent: tx.hash,
      prover: program("prover").hash,
      proof: Uint8Array.of(1),
      files: [],
    });
    await intake.accept(proof);
    const verifier = program("verifier").hash;
    const verification = sign({
      kind: "verification",
      parent: proof.hash,
      verifier,
      verification: Uint8Array.of(2),
      files: [],
    });
    await intake.accept(verification);
    const status = await readRunStatus(db.database, tx.hash, NODE_KEY);
    expect(status).toMatchObject({
      state: "complete",
      proofs: [proof.hash],
      verifications: [verification.hash],
    });
    expect(status?.tasks.map(({ step, kind, proof }) => [step, kind, proof])).toEqual([
      [0, "proof", null],
      [1, "verification", proof.hash],
    ]);
    expect(await readTree(db.database, tx.hash)).toEqual({
      kind: "root",
      hash: tx.hash,
      children: [{ kind: "node", hash: proof.hash, children: [{ kind: "leaf", hash: verification.hash }] }],
    });
  });

  test("a commit of a Run is announced to dashboards", async () => {
    const heard: string[] = [];
    const { default: pg } = await import("pg");
    const client = new pg.Client({ connectionString: db.url });
    await client.connect();
    client.on("notification", ({ payload }) => heard.push(payload ?? ""));
    await client.query("listen dashboard_data_stream");
    const tx = run();
    await intake.accept(tx);
    await expect.poll(() => heard.length).toBe(1);
    await client.end();
    expect(JSON.parse(heard[0] as string)).toEqual({
      state: "submitted",
      tx_id: tx.hash,
      tag: "prover",
      prover_id: program("prover").hash,
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
    });
  });

  test("every payload can be stored and read back", async () => {
    const tx = run();
    await intake.accept(tx);
    const payloads: Payload[] = [
      { kind: "empty" },
      { kind: "transfer", to: publicKeyOf(otherKey), value: -(2n ** 200n) },
      { kind: "stake", value: 0n },
      { kind: "unstake", value: 1n },
      { kind: "proofKey", parent: tx.hash, key: Uint8Array.of(0, 255) },
      { kind: "cancel", parent: tx.hash },
    ];
    for (const payload of payloads) {
      const signed = signTransaction({ payload, nonce: 2n ** 64n - 1n, secretKey });
      await intake.accept(signed);
      expect(await readTransaction(db.database, signed.hash)).toEqual(signed);
    }
  });

  test("migrate twice, and two at once", async () => {
    expect(await Promise.all([migrate(db.database), migrate(db.database)])).toEqual([[], []]);
  });
});

describe("what the intake refuses", () => {
  const unknown = "ab".repeat(32);
  test.each<[string, () => Transaction, string, RegExp]>([
    [
      "a wrong image checksum",
      () => deploy(program("third", { checksum: checksum("other") })),
      "FILE_UNAVAILABLE",
      /checksum|BLAKE3/i,
    ],
    ["an image that isn't there", () => deploy(program("absent")), "FILE_UNAVAILABLE", /404/],
    [
      "a host that doesn't answer",
      () => deploy(program("third", { url: "http://127.0.0.1:9/x" })),
      "FILE_UNAVAILABLE",
      /127\.0\.0\.1:9/,
    ],
    ["a file: URL", () => deploy(program("third", { url: "file:///etc/passwd" })), "TX_REFUSED", /http:\/\//],
    [
      "an image name with ..",
      () => deploy(program("third", { fileName: "../x" })),
      "TX_REFUSED",
      /segment "\.\."/,
    ],
    [
      "a checksum that is none",
      () => deploy(program("third", { checksum: "xyz" })),
      "TX_REFUSED",
      /64 lowercase hex/,
    ],
    [
      "a volume over the system's folders",
      () => deploy(program("third", { url: `${host.url}/third#volume=v:/proc` })),
      "TX_REFUSED",
      /The prover's volumes can't be mounted: "\/proc" is used by the system/,
    ],
    [
      "an image behind a URL that names volumes",
      () => deploy(program("third", { url: `${host.url}/absent#volume=v:/v` })),
      "FILE_UNAVAILABLE",
      /third" from [^#]*\/absent: /,
    ],
    ["no steps", () => sign({ kind: "run", steps: [] }), "TX_REFUSED", /no steps/],
    [
      "an unknown program",
      () => sign({ kind: "run", steps: [{ program: unknown, args: [], inputs: [] }] }),
      "TX_PARENT_MISSING",
      /Deploy it first/,
    ],
    [
      "an input outside the workspace",
      () => run([input("/etc/passwd")]),
      "TX_REFUSED",
      /not under \/workspace/,
    ],
    ["an input with ..", () => run([input("/workspace/../x")]), "TX_REFUSED", /segment "\.\."/],
    ["two inputs of one name", () => run([input(), input()]), "TX_REFUSED", /two inputs named/],
    [
      "an output of a later step",
      () => run([{ kind: "output", sourceProgram: program("verifier").hash, fileName: "/workspace/x" }]),
      "TX_REFUSED",
      /no earlier step/,
    ],
    ["a NUL in an argument", () => run([], ["a\0b"]), "TX_REFUSED", /NUL/],
    [
      "a Proof without its Run",
      () => sign({ kind: "proof", parent: unknown, prover: unknown, proof: new Uint8Array(), files: [] }),
      "TX_PARENT_MISSING",
      /Send the Run first/,
    ],
    [
      "a Verification without its Proof",
      () =>
        sign({
          kind: "verification",
          parent: unknown,
          verifier: unknown,
          verification: new Uint8Array(),
          files: [],
        }),
      "TX_PARENT_MISSING",
      /Send the Proof first/,
    ],
    ["a changed hash field", () => ({ ...run(), hash: unknown }), "TRANSACTION_HASH_DIFFERS", /Sign it anew/],
    [
      "a wrong signature",
      () => ({ ...run(), signature: "11".repeat(64) }),
      "TRANSACTION_SIGNATURE_WRONG",
      /not its author's/,
    ],
  ])("%s", async (_, make, code, message) => {
    const tx = make();
    await expect(intake.accept(tx)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    expect(await readTransaction(db.database, tx.hash)).toBeNull();
  });

  test.each<[string, object, RegExp]>([
    ["a file that is another's folder", { fileName: "/workspace/a/b" }, /the folder of "\/workspace\/a\/b"/],
    ["one name for two contents", { checksum: checksum("other") }, /different files/],
  ])("%s", async (_, second, message) => {
    const inputs = [input("/workspace/a"), input("/workspace/a", second)];
    const steps = ["prover", "verifier"].map((name, index) => {
      return { program: program(name).hash, args: [], inputs: [inputs[index] as ReturnType<typeof input>] };
    });
    await expect(intake.accept(sign({ kind: "run", steps }))).rejects.toMatchObject({
      code: "TX_REFUSED",
      message: expect.stringMatching(message),
    });
  });

  test("resources that no column holds, before anything is downloaded", async () => {
    const resources = { memMib: 2n ** 63n, cpus: 1n, gpus: 0n };
    const before = host.requests.length;
    const tx = deploy({ ...program("prover"), resources });
    await expect(intake.accept(tx)).rejects.toMatchObject({ code: "TX_REFUSED" });
    expect(host.requests.length).toBe(before);
  });

  test("a Verification by a program that is not the verifying step", async () => {
    const tx = run();
    await intake.accept(tx);
    const prover = program("prover").hash;
    const proof = sign({ kind: "proof", parent: tx.hash, prover, proof: new Uint8Array(), files: [] });
    await intake.accept(proof);
    const forged = sign(
      {
        kind: "verification",
        parent: proof.hash,
        verifier: prover,
        verification: new Uint8Array(),
        files: [],
      },
      otherKey,
    );
    await expect(intake.accept(forged)).rejects.toThrow(/not the step of the Run that verifies/);
    expect((await readRunStatus(db.database, tx.hash, NODE_KEY))?.state).toBe("verifying");
  });

  test("a cancelled Run stays failed: a Proof that comes later makes no task", async () => {
    const tx = run();
    await intake.accept(tx);
    await intake.accept(sign({ kind: "cancel", parent: tx.hash }));
    const prover = program("prover").hash;
    await intake.accept(
      sign({ kind: "proof", parent: tx.hash, prover, proof: new Uint8Array(), files: [] }, otherKey),
    );
    expect(await readRunStatus(db.database, tx.hash, NODE_KEY)).toMatchObject({
      state: "failed",
      failure: { code: "CANCELLED", step: 0 },
      tasks: [{ state: "failed" }],
    });
  });

  test("a Cancel by another than the Run's author", async () => {
    const tx = run();
    await intake.accept(tx);
    const cancel = sign({ kind: "cancel", parent: tx.hash }, otherKey);
    await expect(intake.accept(cancel)).rejects.toMatchObject({ code: "TX_NOT_ALLOWED" });
  });
});
