import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildImage, type Devnet, type DevnetNode, startDevnet } from "gevulot-devnet";
import { isGevulotError, type RunStatus } from "gevulot-sdk";
import {
  encodeTransaction,
  hexToBytes,
  randomNonce,
  signTransaction,
  type Transaction,
} from "gevulot-sdk/protocol";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createPeerNetwork } from "../../devnet/src/p2p/createPeerNetwork.ts";
import { rankNodes } from "../../devnet/src/schedule/assignment.ts";
import { clientOf, deployBoth, everywhere, results } from "../fixtures/network.ts";

/** Five nodes as processes, with everything real but the VMs. */
const dir = mkdtempSync(join(tmpdir(), "network-"));
const image = join(dir, "program.img");

beforeAll(async () => {
  const program = fileURLToPath(new URL("../fixtures/programs/misbehave.mjs", import.meta.url));
  await buildImage({ program, outputPath: image, manifest: { Mounts: { "%1": "/workspace" } } });
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe("five nodes with assigned work", () => {
  let net: Devnet;
  let programs: { prover: string; verifier: string };
  beforeAll(async () => {
    net = await startDevnet({ nodes: 5, provider: "process", memGb: 4, numCpus: 8 });
    programs = await deployBoth(net, image);
  });
  afterAll(() => net?.close());

  const send = (args: string[], node = net.nodes[0]) =>
    clientOf(net, node).run({
      steps: [
        { program: programs.prover, args },
        {
          program: programs.verifier,
          args: ["ok"],
          // Other modes leave no file.
          inputs: args[0] === "ok" ? [{ from: programs.prover, output: "/workspace/out.txt" }] : [],
        },
      ],
    });
  /** A Run of so many bytes of bincode, which fails at once. */
  const runOf = (bytes: number): Transaction => {
    const sign = (padding: number) => {
      const step = { program: programs.prover, args: ["exit", "1", "x".repeat(padding)], inputs: [] };
      const secretKey = hexToBytes(net.accounts[0].secretKey);
      return signTransaction({ payload: { kind: "run", steps: [step] }, nonce: randomNonce(), secretKey });
    };
    return sign(bytes - encodeTransaction(sign(0)).length);
  };
  const ranked = (run: string) =>
    rankNodes(
      run,
      net.nodes.map(({ publicKey }) => publicKey),
    );
  const nodeWith = (key: string | undefined) =>
    net.nodes.find(({ publicKey }) => publicKey === key) as DevnetNode;

  test("one Proof, three Verifications; every node shows the same, and has the files", async () => {
    const run = await send(["ok", "a", "b"]);
    const statuses = await everywhere(net, run.hash, results(1, 3));
    expect(new Set(statuses.map(({ proofs }) => proofs[0])).size).toBe(1);
    const authors = (await run.result({ minVerifications: 3 })).verifications.map(({ author }) => author);
    expect(authors.sort()).toEqual(ranked(run.hash).slice(0, 3).sort());
    for (const node of net.nodes) {
      const { proofs } = await clientOf(net, node).getRun(run.hash).result();
      expect(proofs[0]?.author).toBe(ranked(run.hash)[0]);
      expect(new TextDecoder().decode(await proofs[0]?.files[0]?.bytes())).toBe("a,b");
    }
  });

  test("every node tells of the tasks of all, in status and events", async () => {
    const run = await send(["ok", "told"]);
    const keys = net.nodes.map(({ publicKey }) => publicKey);
    const done = ({ tasks }: RunStatus) => tasks.length === 4 && tasks.every(({ state }) => state === "done");
    const statuses = await everywhere(net, run.hash, done);
    for (const { tasks } of statuses) {
      expect(tasks.map(({ node }) => node).sort()).toEqual(
        [ranked(run.hash)[0], ...ranked(run.hash).slice(0, 3)].sort(),
      );
      expect(keys).toEqual(expect.arrayContaining(tasks.map(({ node }) => node)));
    }
    for (const node of net.nodes) {
      const names: string[] = [];
      for await (const { name } of clientOf(net, node).getRun(run.hash).events()) names.push(name);
      const count = (wanted: string) => names.filter((name) => name === wanted).length;
      expect([count("proving"), count("proof"), count("verifying"), names.at(-1)]).toEqual([
        ...[1, 1, 3, "verified"],
      ]);
    }
  });

  test("a message of 65,519 bytes reaches a peer of version 1; of one more, every node says that it does not", async () => {
    const got = new Set<string>();
    const deps = {
      log: pino({ level: "silent" }),
      secretKey: new Uint8Array(32).fill(79),
      resources: () => ({ memMib: 0, cpus: 0, gpus: 0 }),
      metrics: async () => "",
      receive: async ({ hash }: Transaction) => {
        got.add(hash);
        return "known" as const;
      },
      receiveReport: async () => false,
      stores: null,
    };
    const discovery = net.nodes.map(({ p2pAddress }) => p2pAddress);
    await using old = await createPeerNetwork(deps, {
      listen: { host: "127.0.0.1", port: 0 },
      discovery,
      protocolVersion: 1,
    });
    await old.untilConnected(5, { timeoutMs: 60_000 });
    // The message is the bincode and its length.
    const [largest, tooLarge] = [runOf(65_519 - 8), runOf(65_520 - 8)];
    const client = clientOf(net, net.nodes[0]);
    for (const tx of [largest, tooLarge]) await client.sendTransaction(tx);
    const unreached = [{ tx: tooLarge.hash, bytes: 65_520 - 8, peers: [old.address] }];
    const statuses = await everywhere(net, tooLarge.hash, (status) => status.unreached.length > 0);
    expect(statuses.map((status) => status.unreached)).toEqual(Array(5).fill(unreached));
    await expect.poll(() => got.has(largest.hash)).toBe(true);
    expect((await client.getRunStatus(largest.hash))?.unreached).toEqual([]);
    expect(got.has(tooLarge.hash)).toBe(false);
    const log = await readFile(net.nodes[0].logFile, "utf8");
    const lines = log.split("\n").filter((line) => line.includes("too large for these peers"));
    expect(lines.filter((line) => line.includes(tooLarge.hash))).toHaveLength(1);
    expect(lines.filter((line) => line.includes(largest.hash))).toHaveLength(0);
  });

  test("a client of any node hears that the attempts are used up", async () => {
    const run = await send(["exit", "3"]);
    await everywhere(net, run.hash, ({ state }) => state === "failed");
    for (const node of net.nodes) {
      const error = await clientOf(net, node)
        .getRun(run.hash)
        .result()
        .catch((reason: unknown) => reason);
      if (!isGevulotError(error, "TASK_FAILED")) throw error;
      expect(error.context.failure).toMatchObject({ code: "PROGRAM_FAILED", exitCode: 3, step: 0 });
      expect(error.context.failure.consoleTail).toContain("mode exit");
    }
  });

  test("the prover's node is killed in the middle: another takes over; it catches up when it is back", async () => {
    const go = join(dir, "go");
    const run = await send(["until", go]);
    const [first] = ranked(run.hash);
    const prover = nodeWith(first);
    const other = net.nodes.find((node) => node !== prover) as DevnetNode;
    await everywhere(net, run.hash, ({ state }) => state === "proving");
    await prover.kill("SIGKILL");
    writeFileSync(go, "");
    const missed = await send(["ok", "missed"], other);
    await everywhere(net, missed.hash, ({ verifications }) => verifications.length > 0);
    const [status] = await everywhere(net, run.hash, ({ verifications }) => verifications.length >= 3);
    expect((await clientOf(net, other).getTransaction(status?.proofs[0] as string)).author).toBe(
      ranked(run.hash)[1],
    );
    await prover.start();
    for (const { hash } of [run, missed]) await everywhere(net, hash, results(1, 3));
  });

  test("a peer that sends a forged transaction is dropped, and the others lose nothing", async () => {
    const [node] = net.nodes;
    await using liar = await createPeerNetwork(
      {
        log: pino({ level: "silent" }),
        secretKey: new Uint8Array(32).fill(77),
        resources: () => ({ memMib: 0, cpus: 0, gpus: 0 }),
        metrics: async () => "",
        receive: async () => "known",
        receiveReport: async () => false,
        stores: null,
      },
      { listen: { host: "127.0.0.1", port: 0 }, discovery: [node.p2pAddress] },
    );
    await liar.untilConnected(5, { timeoutMs: 60_000 });
    const payload = { kind: "stake", value: 1n } as const;
    const signed = signTransaction({ payload, nonce: 1n, secretKey: new Uint8Array(32).fill(78) });
    // Once may go over a connection that just gives way to another with the same node.
    const lie = () => {
      liar.broadcast({ ...signed, signature: "11".repeat(64) });
      return liar.peers().length;
    };
    await expect.poll(lie, { interval: 500 }).toBe(0);
    await expect(clientOf(net, node).getTransaction(signed.hash)).rejects.toMatchObject({ code: "REFUSED" });
    const run = await send(["ok", "still", "here"]);
    await everywhere(net, run.hash, results(1, 3));
  });

  test("a Cancel at another node stops the task and ends its process", async () => {
    const run = await send(["forever"]);
    await everywhere(net, run.hash, ({ tasks }) => tasks[0]?.attempts.at(-1)?.programStartedAt != null);
    const prover = nodeWith(ranked(run.hash)[0]);
    const { tasks } = (await clientOf(net, prover).getRunStatus(run.hash)) as RunStatus;
    const pid = tasks[0]?.attempts.at(-1)?.pid as number;
    const other = net.nodes.find((node) => node !== prover) as DevnetNode;
    const cancel = (secretKey: string) =>
      signTransaction({
        payload: { kind: "cancel", parent: run.hash },
        nonce: randomNonce(),
        secretKey: hexToBytes(secretKey),
      });
    const client = clientOf(net, other);
    await expect(client.sendTransaction(cancel(net.accounts[1]?.secretKey as string))).rejects.toMatchObject({
      code: "REFUSED",
    });
    await client.sendTransaction(cancel(net.accounts[0].secretKey));
    // While a node works on it still, it can be cancelled once more.
    const isOver = ({ state, tasks }: RunStatus) =>
      state === "failed" && tasks.every((task) => task.state === "done" || task.state === "failed");
    const statuses = await everywhere(net, run.hash, isOver);
    expect(statuses.map(({ failure }) => failure?.code)).toEqual(Array(5).fill("CANCELLED"));
    await expect(client.sendTransaction(cancel(net.accounts[0].secretKey))).rejects.toMatchObject({
      code: "REFUSED",
      message: expect.stringContaining("has ended already: it failed, CANCELLED"),
    });
    // For good, and without a wait for results that never come.
    for (const node of net.nodes) {
      await expect(clientOf(net, node).getRun(run.hash).result({ timeoutMs: 30_000 })).rejects.toMatchObject({
        code: "TASK_FAILED",
        context: { failure: { code: "CANCELLED" } },
      });
    }
    await expect
      .poll(() =>
        readFile(`/proc/${pid}/stat`).then(
          () => "there",
          () => "gone",
        ),
      )
      .toBe("gone");
  });
});
