import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { blake3 } from "@napi-rs/blake-hash";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  finishRun,
  ok,
  PROOF_CHECKSUM,
  PROOF_FILE,
  PROVER,
  statusOf,
  VERIFIER,
} from "../../../test/fixtures/finishedRun.ts";
import { RpcFault, startWireNode, type WireNode } from "../../../test/fixtures/wireNode.ts";
import { GevulotClient, generateKey } from "../index.ts";
import { hexToBytes } from "../protocol/hex.ts";
import { parseJson } from "../protocol/json/parseJson.ts";
import { parseTransaction } from "../protocol/json/transactionJson.ts";
import { programHash } from "../protocol/program.ts";
import { parseVolume, volumesOfUrl } from "../protocol/programVolumes.ts";
import type { Transaction } from "../protocol/transaction.ts";
import { verifyTransaction } from "../protocol/verifyTransaction.ts";

const KEY = generateKey();

let folder: string;
let node: WireNode;
let client: GevulotClient;
/** What the node has taken. */
let sent: Transaction[];
/** The files that the node fetched before it answered, by URL. */
let fetched: Map<string, string>;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sdk-client-"));
  node = await startWireNode();
  sent = [];
  fetched = new Map();
  node.methods.sendTransaction = async (parameter) => {
    const transaction = parseTransaction(parseJson(parameter));
    verifyTransaction(transaction);
    for (const { url, checksum } of filesOf(transaction)) {
      const content = new Uint8Array(await (await fetch(url)).arrayBuffer());
      if (blake3(content).toString("hex") !== checksum) return '{"Err":{"InvalidRequest":"checksum"}}';
      fetched.set(url, Buffer.from(content).toString());
    }
    sent.push(transaction);
    return '{"Ok":null}';
  };
  client = new GevulotClient({ url: node.url, key: KEY, retries: 0 });
});
afterEach(async () => {
  await node.close();
  await rm(folder, { recursive: true });
});

function filesOf({ payload }: Transaction): { url: string; checksum: string }[] {
  if (payload.kind === "deploy") {
    return [payload.prover, payload.verifier].map((p) => ({
      url: p.imageFileUrl,
      checksum: p.imageFileChecksum,
    }));
  }
  if (payload.kind !== "run") return [];
  const inputs = payload.steps.flatMap((step) => step.inputs);
  return inputs.flatMap((data) =>
    data.kind === "input" ? [{ url: data.fileUrl, checksum: data.checksum }] : [],
  );
}

async function localFile(name: string, content: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, content);
  return path;
}

describe("deploy", () => {
  const remote = { url: "https://example.com/p.img", checksum: PROOF_CHECKSUM };

  test("serves local images until the node has them, and no longer", async () => {
    const prover = await localFile("prover.img", "the prover");
    const verifier = await localFile("verifier.img", "the verifier");
    const deployment = await client.deploy({
      name: "a pair",
      prover: { file: prover, name: "my prover", resources: { memMib: 512 } },
      verifier: { file: verifier },
    });
    const [transaction] = sent;
    expect(transaction).toMatchObject({
      author: KEY.publicKey,
      hash: deployment.hash,
      payload: { kind: "deploy", name: "a pair", prover: deployment.prover, verifier: deployment.verifier },
    });
    expect(deployment.prover).toMatchObject({
      name: "my prover",
      imageFileName: "prover.img",
      imageFileChecksum: blake3("the prover").toString("hex"),
      resources: { memMib: 512n, cpus: 2n, gpus: 0n },
    });
    expect(deployment.verifier).toMatchObject({ name: "verifier.img", resources: null });
    expect(programHash(deployment.prover)).toBe(deployment.prover.hash);
    expect([...fetched.values()]).toEqual(["the prover", "the verifier"]);
    await expect(fetch(deployment.prover.imageFileUrl)).rejects.toThrow("fetch failed");
  });

  test("names images at URLs without reading them, and local ones that have a URL", async () => {
    const path = await localFile("v.img", "the verifier");
    node.methods.sendTransaction = (parameter) => {
      sent.push(parseTransaction(parseJson(parameter)));
      return '{"Ok":null}';
    };
    const { prover, verifier } = await client.deploy({
      name: "",
      prover: {
        url: "https://example.com/images/my%20prover.img?v=1",
        checksum: PROOF_CHECKSUM.toUpperCase(),
      },
      verifier: { file: path, url: "https://example.com/v.img" },
      nonce: 7n,
    });
    expect(prover).toMatchObject({ imageFileName: "my prover.img", imageFileChecksum: PROOF_CHECKSUM });
    expect(verifier).toMatchObject({
      imageFileUrl: "https://example.com/v.img",
      imageFileChecksum: blake3("the verifier").toString("hex"),
    });
    expect(sent[0]?.nonce).toBe(7n);
  });

  test("volumes are named in the URL, where they are signed and no server sees them", async () => {
    const file = await localFile("p.img", "the prover");
    const deploy = (volumes?: object[]) =>
      client.deploy({
        name: "",
        prover: { ...remote, url: `${node.url}/files/p.img#part`, volumes: [] },
        verifier: { file, ...(volumes && { volumes: volumes as { name: string; path: string }[] }) },
        nonce: 1n,
      });
    const paths: (string | undefined)[] = [];
    node.methods.sendTransaction = async (parameter) => {
      const { payload } = parseTransaction(parseJson(parameter)) as Transaction<"deploy">;
      paths.push(await (await fetch(payload.verifier.imageFileUrl)).text());
      return '{"Ok":null}';
    };
    const plain = await deploy();
    expect(plain.prover.imageFileUrl).toBe(`${node.url}/files/p.img#part`);
    expect(plain.verifier.imageFileUrl).not.toContain("#");
    const { verifier } = await deploy([
      { name: "params", path: "/tmp" },
      { name: "more.v2", path: "/data/a+b@c/", readonly: true },
    ]);
    const wanted = "#volume=params:/tmp&volume=more.v2:/data/a+b@c/:ro";
    expect(new URL(verifier.imageFileUrl).hash).toBe(wanted);
    expect(verifier.hash).toBe(programHash(verifier));
    expect(paths).toEqual(["the prover", "the prover"]);
    expect(volumesOfUrl(verifier.imageFileUrl).map(parseVolume)).toEqual([
      { name: "params", path: "/tmp", readonly: false },
      { name: "more.v2", path: "/data/a+b@c", readonly: true },
    ]);
  });

  test("stops serving when the node refuses", async () => {
    let url = "";
    node.methods.sendTransaction = (parameter) => {
      url = filesOf(parseTransaction(parseJson(parameter)))[0]?.url ?? "";
      return '{"Err":"Unauthorized"}';
    };
    const file = await localFile("p.img", "p");
    await expect(
      client.deploy({ name: "", prover: { file }, verifier: { file, name: "v" } }),
    ).rejects.toMatchObject({
      code: "REFUSED",
      context: { kind: "Unauthorized" },
    });
    await expect(fetch(url)).rejects.toThrow("fetch failed");
  });

  test.each<[string, Parameters<GevulotClient["deploy"]>[0]["prover"], object]>([
    [
      "a missing image",
      { file: "/nowhere/p.img" },
      { code: "FILE_UNREADABLE", context: { reason: "ENOENT" } },
    ],
    [
      "a short checksum",
      { ...remote, checksum: "abc" },
      { code: "PROGRAM_INVALID", context: { role: "prover" } },
    ],
    ["no URL", { ...remote, url: "p.img" }, { code: "PROGRAM_INVALID" }],
    ["a URL without a name", { ...remote, url: "https://example.com/" }, { code: "PROGRAM_INVALID" }],
    ["half a core", { ...remote, resources: { cpus: 0.5 } }, { code: "PROGRAM_INVALID" }],
    ["negative memory", { ...remote, resources: { memMib: -1n } }, { code: "PROGRAM_INVALID" }],
    ...[
      { name: "a&volume=b", path: "/x" },
      { name: "%1", path: "/x" },
      { name: "v", path: "x" },
      { name: "v", path: "/x/../etc" },
      { name: "v", path: "/x y" },
      { name: "v", path: "/" },
      { name: "v" } as { name: string; path: string },
    ].map((volume): [string, Parameters<GevulotClient["deploy"]>[0]["prover"], object] => [
      `the volume ${JSON.stringify(volume)}`,
      { ...remote, volumes: [volume] },
      { code: "PROGRAM_INVALID", message: expect.stringContaining(`its volume ${volume.name}:`) },
    ]),
    [
      "volumes of what is deployed",
      { hash: PROVER, volumes: [] } as { hash: string },
      { code: "PROGRAM_INVALID", message: expect.stringContaining("deploy its image") },
    ],
    [
      "a URL longer than nodes can store",
      { ...remote, volumes: [{ name: "v", path: `/${"x".repeat(1_024)}` }] },
      { code: "PROGRAM_INVALID", message: expect.stringContaining("1024 characters") },
    ],
  ])("%s is told before anything is sent", async (_, prover, error) => {
    await expect(client.deploy({ name: "", prover, verifier: remote })).rejects.toMatchObject(error);
    expect(node.calls).toEqual([]);
  });
});

describe("run and prove", () => {
  test("send the steps, and serve files and bytes meanwhile", async () => {
    const file = await localFile("witness.json", "[1,2]");
    const run = await client.prove({
      prover: { hash: PROVER },
      verifier: VERIFIER,
      args: ["--fast", ""],
      inputs: [
        { file, vmPath: "/workspace/witness.json" },
        { data: new TextEncoder().encode("seed"), vmPath: "/workspace/deep/seed" },
      ],
      verifierArgs: ["7"],
      verifierInputs: ["/workspace/proof.bin"],
    });
    const [transaction] = sent;
    expect(run.hash).toBe(transaction?.hash);
    const local = { kind: "input", fileUrl: expect.stringMatching(/^http:\/\/127\.0\.0\.1:/) };
    expect(transaction?.payload).toMatchObject({
      kind: "run",
      steps: [
        {
          program: PROVER,
          args: ["--fast", ""],
          inputs: [
            { ...local, fileName: "/workspace/witness.json" },
            { ...local, fileName: "/workspace/deep/seed" },
          ],
        },
        {
          program: VERIFIER,
          args: ["7"],
          inputs: [{ kind: "output", sourceProgram: PROVER, fileName: "/workspace/proof.bin" }],
        },
      ],
    });
    expect([...fetched.values()]).toEqual(["[1,2]", "seed"]);
    for (const url of fetched.keys()) await expect(fetch(url)).rejects.toThrow("fetch failed");
  });

  test("with a deadline they go by the method that takes one", async () => {
    let parameter = "";
    node.methods.sendRun = (given) => {
      parameter = given;
      return '{"Ok":null}';
    };
    const run = await client.run({ steps: [{ program: PROVER }], deadlineMs: 1_500 });
    const { transaction, deadlineMs } = parseJson(parameter) as Record<string, unknown>;
    expect([parseTransaction(transaction).hash, deadlineMs, sent.length]).toEqual([run.hash, 1_500, 0]);
    await expect(client.run({ steps: [{ program: PROVER }], deadlineMs: 0 })).rejects.toThrow(
      /^deadlineMs: give a whole number from 1/,
    );
  });

  test("the same run twice is two transactions, unless the nonce is given", async () => {
    const steps = [{ program: PROVER }];
    const hashes = [];
    for (const nonce of [undefined, undefined, 5n, 5n]) {
      hashes.push((await client.run({ steps, ...(nonce === undefined ? {} : { nonce }) })).hash);
    }
    expect(new Set(hashes).size).toBe(3);
    expect(hashes[2]).toBe(hashes[3]);
  });

  test.each<[string, Parameters<GevulotClient["run"]>[0]["steps"][number], string]>([
    ["no hash", { program: "prover" }, "HASH_INVALID"],
    ["a relative path", { program: PROVER, inputs: [{ file: "x", vmPath: "workspace/x" }] }, "INPUT_INVALID"],
    [
      "a path that climbs",
      { program: PROVER, inputs: [{ file: "x", vmPath: "/workspace/../x" }] },
      "INPUT_INVALID",
    ],
    ["a folder", { program: PROVER, inputs: [{ output: "/workspace/", from: PROVER }] }, "INPUT_INVALID"],
    ["no source", { program: PROVER, inputs: [{ output: "/workspace/x", from: "me" }] }, "HASH_INVALID"],
    [
      "a wrong checksum",
      { program: PROVER, inputs: [{ url: "http://a/x", checksum: "00", vmPath: "/x" }] },
      "INPUT_INVALID",
    ],
  ])("%s is told before anything is sent", async (_, step, code) => {
    await expect(client.run({ steps: [step] })).rejects.toMatchObject({ code });
    expect(node.calls).toEqual([]);
  });

  test("an abort ends the wait for the node, and the serving", async () => {
    const abort = new AbortController();
    let url = "";
    node.methods.sendTransaction = (parameter) => {
      url = filesOf(parseTransaction(parseJson(parameter)))[0]?.url ?? "";
      abort.abort();
      return new Promise(() => {});
    };
    const inputs = [{ data: PROOF_FILE, vmPath: "/workspace/x" }];
    const run = client.run({ steps: [{ program: PROVER, inputs }], signal: abort.signal });
    await expect(run).rejects.toMatchObject({ code: "CANCELLED" });
    await expect(fetch(url)).rejects.toThrow("fetch failed");
  });
});

describe("keys", () => {
  test("a key file, hex, bytes or a signer", async () => {
    const keyFile = join(folder, "key");
    await writeFile(keyFile, hexToBytes(KEY.secretKey));
    const signed: Uint8Array[] = [];
    const own = new GevulotClient({ url: node.url, key: KEY });
    const signer = {
      publicKey: KEY.publicKey,
      sign: async (message: Uint8Array) => {
        signed.push(message);
        throw new Error("the wallet says no");
      },
    };
    const clients = [{ keyFile }, { key: KEY.secretKey }, { key: hexToBytes(KEY.secretKey) }, { signer }];
    for (const options of clients)
      expect(await new GevulotClient(options).getPublicKey()).toBe(KEY.publicKey);
    const run = new GevulotClient({ url: node.url, signer }).run({ steps: [{ program: PROVER }] });
    await expect(run).rejects.toThrow("the wallet says no");
    expect(signed[0]).toHaveLength(32);
    expect(await own.getPublicKey()).toBe(KEY.publicKey);
  });
  test("no key, and wrong ones", async () => {
    const steps = [{ program: PROVER }];
    await expect(new GevulotClient({ url: node.url }).run({ steps })).rejects.toMatchObject({
      code: "NO_KEY",
    });
    expect(() => new GevulotClient({ key: "zz" })).toThrow(
      expect.objectContaining({ code: "SECRET_KEY_INVALID" }),
    );
    expect(() => new GevulotClient({ key: "00" })).toThrow(
      expect.objectContaining({ code: "SECRET_KEY_INVALID" }),
    );
    const missing = new GevulotClient({ keyFile: join(folder, "none") });
    await expect(missing.getPublicKey()).rejects.toMatchObject({ code: "KEY_FILE_MISSING" });
  });
});

test("the plain calls", async () => {
  const { proof } = finishRun(node, PROVER);
  expect(await client.getTransaction(proof.hash)).toEqual(proof);
  await expect(client.getTransaction("ee".repeat(32))).rejects.toMatchObject({
    context: { kind: "NotFound" },
  });
  await expect(client.getTransaction("ee")).rejects.toMatchObject({ code: "HASH_INVALID" });
  await expect(client.getTransactionTree(proof.hash)).rejects.toMatchObject({ code: "RPC_CALL_INVALID" });
  node.methods.getRunStatus = () => ok(statusOf(PROVER));
  expect(await client.getRunStatus(PROVER)).toEqual(statusOf(PROVER));
  node.methods.getRunStatus = () => ok({ ...statusOf(PROVER), tasks: {} });
  await expect(client.getRunStatus(PROVER)).rejects.toMatchObject({
    code: "NODE_ANSWER_INVALID",
    message: expect.stringContaining("tasks"),
  });
  node.methods.getRunStatus = () => {
    throw new RpcFault(-32602, "no hash");
  };
  await expect(client.getRunStatus(PROVER)).rejects.toMatchObject({ context: { rpcCode: -32602 } });
});
