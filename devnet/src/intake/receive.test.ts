import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { blake3 } from "@noble/hashes/blake3.js";
import { GevulotError } from "gevulot-sdk";
import {
  bytesToHex,
  createProgramMetadata,
  encodeTransaction,
  type Payload,
  publicKeyOf,
  signTransaction,
  type Transaction,
} from "gevulot-sdk/protocol";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createFileHost, type FileHost } from "../../../test/fixtures/fileHost.ts";
import { createTestDatabase, type TestDatabase } from "../../../test/fixtures/testDatabase.ts";
import { createFileFetcher, DEFAULT_FETCH } from "../files/fetchFile.ts";
import { createFileLayout, type FileLayout } from "../files/layout.ts";
import { readTransaction } from "../store/readTransactions.ts";
import { createIntake, type Intake } from "./intake.ts";
import "./requireParents.ts";
import { isTooLargeFor } from "../p2p/gossip/tooLarge.ts";
import { MAX_TRANSACTION_BYTES } from "../result/createResultTransaction.ts";

const secretKey = new Uint8Array(32).fill(3);
const stranger = new Uint8Array(32).fill(4);
const strangerKey = publicKeyOf(stranger);
const checksum = (text: string) => bytesToHex(blake3(new TextEncoder().encode(text)));

let db: TestDatabase;
let host: FileHost;
let dir: string;
let layout: FileLayout;
let intake: Intake;
type Logged = { tx?: string; msg: string; tries?: number; retryMs?: number };
const logged: Logged[] = [];
let onLogged: (entry: Logged) => void = () => {};
const origins = new Map<string, string>();
let nonce = 0n;

beforeAll(async () => {
  db = await createTestDatabase();
  host = await createFileHost();
  dir = await mkdtemp(join(tmpdir(), "receive-"));
  layout = createFileLayout(dir);
  intake = createIntake(
    {
      log: pino(
        { level: "info" },
        {
          write(line: string) {
            const entry: Logged = JSON.parse(line);
            logged.push(entry);
            onLogged(entry);
          },
        },
      ),
      database: db.database,
      layout,
      files: createFileFetcher(layout.incomingDir, {
        ...DEFAULT_FETCH,
        peers: { list: () => ["http://127.0.0.1:9", host.url], onLie: () => {} },
      }),
      access: {
        require: async ({ author, hash }) => {
          if (author === strangerKey)
            throw new GevulotError("TX_NOT_ALLOWED", "not listed", { context: { hash } });
        },
      },
      onStored: (tx, origin) => origins.set(tx.hash, origin),
    },
    { execute: true, fileRetryDelaysMs: [50, 50, 50] },
  );
});
afterAll(async () => {
  intake?.[Symbol.dispose]();
  await db?.[Symbol.asyncDispose]();
  await host?.[Symbol.asyncDispose]();
  await rm(dir, { recursive: true, force: true });
});

const sign = <P extends Payload>(payload: P) => signTransaction({ payload, nonce: nonce++, secretKey });
const program = (name: string) => {
  const path = `/images/${name}`;
  host.files.set(path, name);
  return createProgramMetadata({
    name,
    imageFileName: `${name}.img`,
    imageFileUrl: `${host.url}${path}`,
    imageFileChecksum: checksum(name),
    resources: null,
  });
};
const chain = (name: string) => {
  const [prover, verifier] = [program(`${name}-p`), program(`${name}-v`)];
  const deploy = sign({ kind: "deploy", name, prover, verifier });
  const steps = [prover, verifier].map(({ hash }) => ({ program: hash, args: [], inputs: [] }));
  const run = sign({ kind: "run", steps });
  const proof = sign({
    kind: "proof",
    parent: run.hash,
    prover: prover.hash,
    proof: Uint8Array.of(1),
    files: [],
  });
  const verification = sign({
    kind: "verification",
    parent: proof.hash,
    verifier: verifier.hash,
    verification: Uint8Array.of(),
    files: [],
  });
  return { deploy, run, proof, verification };
};
const isStored = async (tx: Transaction) => (await readTransaction(db.database, tx.hash)) !== null;

describe("transactions of peers", () => {
  test("in any order, each waits for what it needs, and all are stored", async () => {
    const { deploy, run, proof, verification } = chain("order");
    for (const tx of [verification, proof, run]) expect(await intake.receive(tx, "a")).toBe("waiting");
    expect(await intake.receive(run, "b")).toBe("waiting");
    expect(await isStored(run)).toBe(false);
    // Its images are fetched after the answer.
    expect(await intake.receive(deploy, "b")).toBe("waiting");
    await expect.poll(() => isStored(verification)).toBe(true);
    expect(await intake.receive(run, "a")).toBe("known");
    expect(origins.get(run.hash)).toBe("peer");
  });

  test("what came by RPC lets those go on that waited; over RPC itself nothing waits", async () => {
    const { deploy, run, proof } = chain("rpc");
    expect(await intake.receive(proof, "a")).toBe("waiting");
    await expect(intake.accept(run)).rejects.toMatchObject({ code: "TX_PARENT_MISSING" });
    await intake.accept(deploy);
    await intake.accept(run);
    await expect.poll(() => isStored(proof)).toBe(true);
    expect(origins.get(run.hash)).toBe("here");
  });

  test("a file that its URL doesn't give comes from another node, under the path of section 6", async () => {
    const image = "from a peer";
    const metadata = createProgramMetadata({
      name: "moved",
      imageFileName: "a b.img",
      imageFileUrl: `${host.url}/gone`,
      imageFileChecksum: checksum(image),
      resources: null,
    });
    host.files.set(`/images/${metadata.hash}/a%20b.img`, image);
    const prover = metadata;
    const deploy = sign({ kind: "deploy", name: "moved", prover, verifier: program("moved-v") });
    await intake.accept(deploy);
    expect(await readFile(layout.imagePath(metadata.hash, "a b.img"), "utf8")).toBe(image);
  });

  test("the output files of a Proof are fetched from its node", async () => {
    const { deploy, run } = chain("files");
    await intake.accept(deploy);
    await intake.accept(run);
    const text = "the proof";
    const file = { name: "/workspace/out/proof.bin", url: "http://127.0.0.1:9", checksum: checksum(text) };
    const prover = run.payload.steps[0]?.program as string;
    const proof = sign({ kind: "proof", parent: run.hash, prover, proof: Uint8Array.of(), files: [file] });
    host.files.set(`/txfiles/${proof.hash}/${file.checksum}/proof.bin`, text);
    expect(await intake.receive(proof, "a")).toBe("waiting");
    await expect.poll(() => isStored(proof)).toBe(true);
    expect(await readFile(layout.outputPath(proof.hash, file.checksum, file.name), "utf8")).toBe(text);
  });

  const withoutImage = (name: string, url: string, image: string) => {
    const prover = createProgramMetadata({
      name,
      imageFileName: "late.img",
      imageFileUrl: `${host.url}${url}`,
      imageFileChecksum: checksum(image),
      resources: null,
    });
    return sign({ kind: "deploy", name, prover, verifier: program(`${name}-v`) });
  };
  const linesOf = (tx: Transaction) => logged.filter((line) => line.tx === tx.hash).map(({ msg }) => msg);

  test("a file that nobody gives is asked for again until somebody does", async () => {
    const deploy = withoutImage("late", "/late", "it came late");
    onLogged = ({ tx, msg }) => {
      if (tx === deploy.hash && msg.includes("asked for again")) host.files.set("/late", "it came late");
    };
    expect(await intake.receive(deploy, "a")).toBe("waiting");
    await expect.poll(() => isStored(deploy)).toBe(true);
    expect(linesOf(deploy)).toContainEqual(expect.stringContaining("asked for again"));
  });

  test("a file that nobody ever gives is given up after the last try, and that is said", async () => {
    const deploy = withoutImage("never", "/never", "it never comes");
    expect(await intake.receive(deploy, "a")).toBe("waiting");
    const isGivenUp = () => linesOf(deploy).some((line) => line.includes("left out"));
    await expect.poll(isGivenUp).toBe(true);
    expect(linesOf(deploy)).toHaveLength(4);
    expect(logged.findLast(({ tx }) => tx === deploy.hash)).toMatchObject({ tries: 4 });
  });

  test("what is too large to travel is refused, by RPC and from peers; the largest is taken", async () => {
    const verified = { kind: "proof", parent: "ab".repeat(32), prover: "cd".repeat(32), files: [] } as const;
    const sized = (bytes: number) => sign({ ...verified, proof: new Uint8Array(bytes) });
    const frame = encodeTransaction(sized(0)).length;
    const tooLarge = sized(MAX_TRANSACTION_BYTES - frame + 1);
    await expect(intake.accept(tooLarge)).rejects.toMatchObject({
      code: "TX_TOO_LARGE",
      message: expect.stringContaining("Hand large data over as files"),
    });
    expect(await intake.receive(tooLarge, "a")).toBe("refused");
    const largest = sized(MAX_TRANSACTION_BYTES - frame);
    await expect(intake.accept(largest)).rejects.toMatchObject({ code: "TX_PARENT_MISSING" });
    expect(isTooLargeFor(MAX_TRANSACTION_BYTES, { isModern: true })).toBe(false);
    expect(isTooLargeFor(MAX_TRANSACTION_BYTES + 1, { isModern: true })).toBe(true);
  });

  test("a peer that changes a transaction is at fault; one that passes on what we don't take is not", async () => {
    const { deploy, run } = chain("fault");
    const forged = { ...deploy, signature: "11".repeat(64) };
    await expect(intake.receive(forged, "liar")).rejects.toMatchObject({ code: "PEER_FAULT" });
    await expect(intake.receive({ ...run, hash: "ab".repeat(32) }, "liar")).rejects.toMatchObject({
      code: "PEER_FAULT",
    });
    expect(await intake.receive(sign({ kind: "run", steps: [] }), "a")).toBe("refused");
    const unlisted = signTransaction({ payload: { kind: "empty" }, nonce: 1n, secretKey: stranger });
    expect(await intake.receive(unlisted, "a")).toBe("refused");
    expect(await isStored(unlisted)).toBe(false);
    expect(await intake.receive(deploy, "a")).toBe("waiting");
    await expect.poll(() => isStored(deploy)).toBe(true);
  });
});
