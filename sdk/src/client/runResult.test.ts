import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  ATTEMPT,
  FAILURE,
  finishRun,
  ok,
  PROOF_CHECKSUM,
  PROOF_FILE,
  PROVER,
  statusOf,
  taskOf,
  VERIFIER,
} from "../../../test/fixtures/finishedRun.ts";
import { startWireNode, type WireNode } from "../../../test/fixtures/wireNode.ts";
import { GevulotClient, generateKey, type RunStatus } from "../index.ts";
import { hexToBytes } from "../protocol/hex.ts";
import { stringifyJson } from "../protocol/json/stringifyJson.ts";
import { rpcTransactionToWire } from "../protocol/rpc/rpcTransaction.ts";
import type { Hash, Payload } from "../protocol/transaction.ts";

let folder: string;
let node: WireNode;
let client: GevulotClient;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sdk-result-"));
  node = await startWireNode();
  client = new GevulotClient({ url: node.url, retries: 0 });
});
afterEach(async () => {
  await node.close();
  await rm(folder, { recursive: true });
});

const RUN = "cc".repeat(32);
const finish = (change?: (payload: Payload) => Payload) => finishRun(node, RUN, change);

describe("result", () => {
  test("gives proofs and verifications, whose files are checked as they are downloaded", async () => {
    const { proof, verification } = finish();
    const states: RunStatus[] = [
      statusOf(RUN),
      statusOf(RUN, { state: "proving", tasks: [taskOf({ state: "running", attempts: [ATTEMPT] })] }),
      statusOf(RUN, { state: "complete", proofs: [proof.hash], verifications: [verification.hash] }),
    ];
    node.methods.getRunStatus = () => ok(states.length > 1 ? states.shift() : states[0]);
    const seen: string[] = [];
    const result = await client.getRun(RUN).result({ onStatus: ({ state }) => seen.push(state) });
    expect(seen).toEqual(["submitted", "proving", "complete"]);
    const files = [{ vmPath: "/workspace/proof.bin", checksum: PROOF_CHECKSUM }];
    expect(result).toMatchObject({
      run: RUN,
      proofs: [{ hash: proof.hash, prover: PROVER, data: PROOF_FILE, files, authenticity: "content" }],
      verifications: [{ verifier: VERIFIER, proof: proof.hash, data: new Uint8Array([1]), files: [] }],
    });
    const file = result.proofs[0]!.files[0]!;
    expect(await file.bytes()).toEqual(PROOF_FILE);
    await file.download(join(folder, "out", "proof.bin"));
    expect(await readFile(join(folder, "out", "proof.bin"), "utf8")).toBe("the proof");
    node.files.set(new URL(file.url).pathname, Buffer.from("another"));
    await expect(file.bytes()).rejects.toMatchObject({ code: "CHECKSUM_WRONG" });
    await expect(file.download(join(folder, "other"))).rejects.toMatchObject({ code: "CHECKSUM_WRONG" });
    node.files.delete(new URL(file.url).pathname);
    await expect(file.bytes()).rejects.toMatchObject({ code: "DOWNLOAD_FAILED", context: { status: 404 } });
  });

  test("a file that is still being written is asked for again", async () => {
    const { proof, verification } = finish();
    node.methods.getRunStatus = () =>
      ok(statusOf(RUN, { state: "complete", proofs: [proof.hash], verifications: [verification.hash] }));
    const { proofs } = await client.getRun(RUN).result();
    const file = proofs[0]!.files[0]!;
    let asked = 0;
    node.files.set(new URL(file.url).pathname, (_, response) => {
      response.writeHead(++asked === 1 ? 206 : 200);
      response.end(asked === 1 ? "in progress" : PROOF_FILE);
    });
    expect(await file.bytes()).toEqual(PROOF_FILE);
    expect(asked).toBe(2);
  });

  test("waits for as many verifications as are wanted, and shows verifiers that disagree", async () => {
    const first = finish();
    const other = finishRun(node, RUN, (payload) =>
      payload.kind === "verification" ? { ...payload, verification: new Uint8Array([2]) } : payload,
    );
    const shown = new Map([...first.shown, ...other.shown]);
    node.methods.getTransaction = (parameter) => {
      const hash = Buffer.from(JSON.parse(parameter) as number[]).toString("hex");
      return `{"Ok":${stringifyJson(rpcTransactionToWire(shown.get(hash)!))}}`;
    };
    const verifications = [first.verification.hash];
    node.methods.getRunStatus = () =>
      ok(statusOf(RUN, { state: "complete", proofs: [first.proof.hash], verifications }));
    const run = client.getRun(RUN);
    expect((await run.result()).verifiersAgree).toBe(true);
    await expect(run.result({ minVerifications: 2, timeoutMs: 1_000 })).rejects.toMatchObject({
      code: "TIMED_OUT",
      message: expect.stringContaining("1 of 2 verifications"),
    });
    setTimeout(() => verifications.push(other.verification.hash), 200);
    const result = await run.result({ minVerifications: 2 });
    expect(result.verifications.map(({ data }) => [...data])).toEqual([[1], [2]]);
    expect(result.verifiersAgree).toBe(false);
  });

  test("TASK_FAILED has the failure and the attempts, within two seconds of it", async () => {
    const started = Date.now();
    node.methods.getRunStatus = () => {
      if (Date.now() - started < 1_500) return ok(statusOf(RUN, { state: "proving" }));
      const tasks = [taskOf({ state: "failed", attempts: [ATTEMPT], failure: FAILURE })];
      return ok(statusOf(RUN, { state: "failed", failure: FAILURE, tasks }));
    };
    await expect(client.getRun(RUN).result()).rejects.toMatchObject({
      code: "TASK_FAILED",
      message: expect.stringContaining("the witness does not fit"),
      context: { run: RUN, step: 0, failure: FAILURE, attempts: [ATTEMPT] },
    });
    expect(Date.now() - started - 1_500).toBeLessThan(2_000);
  });

  test("NOT_SCHEDULED tells what the task waits for", async () => {
    const waitsFor = "waits for 2048 MiB of memory, 512 free";
    node.methods.getRunStatus = () => ok(statusOf(RUN, { state: "proving", tasks: [taskOf({ waitsFor })] }));
    await expect(client.getRun(RUN).result({ timeoutMs: 1_000 })).rejects.toMatchObject({
      code: "NOT_SCHEDULED",
      message: expect.stringContaining(waitsFor),
      context: { timeoutMs: 1_000, stage: { state: "proving", hasStarted: false } },
    });
  });

  test("TIMED_OUT tells the last stage", async () => {
    const attempts = [{ ...ATTEMPT, number: 2 }];
    node.methods.getRunStatus = () =>
      ok(statusOf(RUN, { state: "proving", tasks: [taskOf({ state: "running", attempts })] }));
    await expect(client.getRun(RUN).result({ timeoutMs: 1_000 })).rejects.toMatchObject({
      code: "TIMED_OUT",
      message: expect.stringMatching(/my prover.*attempt 2.*boots its VM/),
      context: { stage: { hasStarted: true } },
    });
  });

  test("CANCELLED, also while the node keeps silent", async () => {
    node.methods.getRunStatus = () => new Promise(() => {});
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 60);
    await expect(client.getRun(RUN).result({ signal: abort.signal })).rejects.toMatchObject({
      code: "CANCELLED",
    });
  });

  test("REFUSED for a run that the node does not know", async () => {
    node.methods.getRunStatus = () => '{"Err":{"NotFound":"no such run"}}';
    await expect(client.getRun(RUN).result()).rejects.toMatchObject({
      code: "REFUSED",
      context: { kind: "NotFound", reason: "no such run" },
    });
  });

  test("outlives a node that is away for a while, and tells one that stays away", async () => {
    const { proof, verification } = finish();
    const port = Number(new URL(node.url).port);
    const complete = { state: "complete", proofs: [proof.hash], verifications: [verification.hash] } as const;
    const { getTransaction } = node.methods;
    node.methods.getRunStatus = () => ok(statusOf(RUN, { state: "proving" }));
    const waiting = client.getRun(RUN).result({ unreachableMs: 50_000 });
    await new Promise((resolve) => setTimeout(resolve, 100));
    await node.close();
    await new Promise((resolve) => setTimeout(resolve, 300));
    node = await startWireNode(port);
    node.methods.getTransaction = getTransaction!;
    node.methods.getRunStatus = () => ok(statusOf(RUN, complete));
    expect((await waiting).proofs).toHaveLength(1);

    await node.close();
    const started = Date.now();
    await expect(client.getRun(RUN).result({ unreachableMs: 200 })).rejects.toMatchObject({
      code: "CANNOT_REACH_NODE",
    });
    expect(Date.now() - started).toBeGreaterThanOrEqual(200);
    // Never heard of: that is the reason, not that nothing was scheduled.
    await expect(client.getRun(RUN).result({ timeoutMs: 1_000 })).rejects.toMatchObject({
      code: "CANNOT_REACH_NODE",
    });
  });

  describe("on a node without getRunStatus", () => {
    const bytes = (hash: Hash) => [...hexToBytes(hash)];
    test("comes by the tree, once there is a Verification", async () => {
      const { proof, verification } = finish();
      let looks = 0;
      node.methods.getTransactionTree = () => {
        if (++looks < 3) return '{"Err":{"NotFound":"x"}}';
        const leaf = { Leaf: { hash: bytes(verification.hash) } };
        const child = { Node: { children: looks < 4 ? [] : [leaf], hash: bytes(proof.hash) } };
        return ok({ Root: { children: [child], hash: bytes(RUN) } });
      };
      const result = await client.getRun(RUN).result();
      expect(result.verifications.map(({ hash }) => hash)).toEqual([verification.hash]);
      expect(node.calls.filter((name) => name === "getRunStatus")).toHaveLength(1);
    });
    test("a run of one step is complete with its Proof", async () => {
      const { proof } = finish();
      node.methods.getTransactionTree = () =>
        ok({ Root: { children: [{ Leaf: { hash: bytes(proof.hash) } }], hash: bytes(RUN) } });
      const result = await client.getRun(RUN, { stepCount: 1 }).result();
      expect([result.proofs.length, result.verifications.length]).toEqual([1, 0]);
    });
    test("times out, and does not claim that nothing has started", async () => {
      node.methods.getTransactionTree = () => '{"Err":{"NotFound":"x"}}';
      await expect(client.getRun(RUN).result({ timeoutMs: 1_000 })).rejects.toMatchObject({
        code: "TIMED_OUT",
      });
    });
  });

  describe("a result that is not genuine", () => {
    type Shown = ReturnType<typeof finish>;
    test.each<[string, (shown: Shown) => void, string]>([
      [
        "content changed",
        ({ shown, verification }) => change(shown, verification.hash, { verification: new Uint8Array([0]) }),
        "content that hashes to",
      ],
      [
        "another transaction shown",
        ({ shown, proof, verification }) => shown.set(proof.hash, verification),
        "instead",
      ],
      [
        "another author named",
        ({ shown, proof }) => shown.set(proof.hash, { ...proof, author: generateKey().publicKey }),
        "signature",
      ],
    ])("%s", async (_, tamper, problem) => {
      const made = finish();
      tamper(made);
      node.methods.getRunStatus = () =>
        ok(
          statusOf(RUN, {
            state: "complete",
            proofs: [made.proof.hash],
            verifications: [made.verification.hash],
          }),
        );
      await expect(client.getRun(RUN).result()).rejects.toMatchObject({
        code: "RESULT_NOT_GENUINE",
        context: { problem: expect.stringContaining(problem) },
      });
    });
    test("a Proof of another run", async () => {
      const { proof, verification } = finishRun(node, "dd".repeat(32));
      node.methods.getRunStatus = () =>
        ok(statusOf(RUN, { state: "complete", proofs: [proof.hash], verifications: [verification.hash] }));
      await expect(client.getRun(RUN).result()).rejects.toMatchObject({ code: "RESULT_NOT_GENUINE" });
    });
    test("files that another node made: only the hash is proven", async () => {
      const elsewhere = (payload: Payload): Payload =>
        payload.kind === "proof"
          ? { ...payload, files: payload.files.map((file) => ({ ...file, url: "http://10.0.0.1:9995" })) }
          : payload;
      const { proof, verification } = finish(elsewhere);
      node.methods.getRunStatus = () =>
        ok(statusOf(RUN, { state: "complete", proofs: [proof.hash], verifications: [verification.hash] }));
      const { proofs, verifications } = await client.getRun(RUN).result();
      expect([proofs[0]?.authenticity, verifications[0]?.authenticity]).toEqual(["hash", "content"]);
    });

    function change(shown: Shown["shown"], hash: Hash, changes: object): void {
      const found = shown.get(hash)!;
      shown.set(hash, { ...found, payload: { ...found.payload, ...changes } } as typeof found);
    }
  });
});
