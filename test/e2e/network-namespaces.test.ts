import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { blake3 } from "@noble/hashes/blake3.js";
import { buildImage } from "gevulot-devnet";
import {
  bytesToHex,
  createProgramMetadata,
  encodeTransaction,
  hexToBytes,
  type Payload,
  type ProgramData,
  publicKeyOf,
  randomNonce,
  SECRET_KEY_BYTES,
  signTransaction,
  type Transaction,
} from "gevulot-sdk/protocol";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { rankNodes } from "../../devnet/src/schedule/assignment.ts";
import { type DialledNode, dialNode } from "../fixtures/dialNode.ts";
import {
  createNamespaceNetwork,
  type NamespaceNetwork,
  type NamespaceNode,
  PORTS,
  untilAllHave,
} from "../fixtures/namespaceNode.ts";
import { whyNoNamespaces } from "../fixtures/netns.ts";
import { clientOf, deployBoth, everywhere, results } from "../fixtures/network.ts";
import { nodeInfoOf } from "../fixtures/nodeInfo.ts";

const skipped = whyNoNamespaces();

describe("five nodes with addresses of their own", () => {
  const dir = mkdtempSync(join(tmpdir(), "netns-"));
  let net: NamespaceNetwork;
  let programs: { prover: string; verifier: string };
  beforeAll(async () => {
    if (skipped !== null) return;
    chmodSync(dir, 0o755);
    const program = fileURLToPath(new URL("../fixtures/programs/misbehave.mjs", import.meta.url));
    const image = join(dir, "program.img");
    await buildImage({ program, outputPath: image, manifest: { Mounts: { "%1": "/workspace" } } });
    net = await createNamespaceNetwork({
      dir,
      machines: (internet) => ({
        open: internet.addMachine("open"),
        nat: internet.addMachineBehindNat("nat", Object.values(PORTS)),
        slow: internet.addMachine("slow"),
        cut: internet.addMachine("cut"),
        fifth: internet.addMachine("fifth"),
      }),
      options: {
        provider: "process",
        execution: "assigned",
        memGb: 4,
        numCpus: 8,
        acl: "off",
        httpHealthcheckListenAddr: "127.0.0.1:0",
      },
    });
    programs = await deployBoth(net, image);
    await reach([]);
  });
  afterAll(async () => {
    await net?.[Symbol.asyncDispose]();
    rmSync(dir, { recursive: true, force: true });
  });
  beforeEach((context) => {
    if (skipped !== null) context.skip(skipped);
  });

  const named = (name: string) => net.nodes.find((node) => node.name === name) as NamespaceNode;
  const others = (node: NamespaceNode) => net.nodes.filter((each) => each !== node);
  const ranked = (run: string) =>
    rankNodes(
      run,
      net.nodes.map(({ publicKey }) => publicKey),
    );
  /** A Run whose work falls to whom the test wants it to. */
  const runFor = (
    args: string[],
    isFit: (ranked: readonly string[]) => boolean,
    files: readonly ProgramData[] = [],
  ): Transaction => {
    const output = {
      kind: "output",
      sourceProgram: programs.prover,
      fileName: "/workspace/out.txt",
    } as const;
    const steps = [
      { program: programs.prover, args, inputs: files },
      { program: programs.verifier, args: ["ok"], inputs: [...files, ...(args[0] === "ok" ? [output] : [])] },
    ];
    for (;;) {
      const tx = sign({ kind: "run", steps });
      if (isFit(ranked(tx.hash))) return tx;
    }
  };
  const sign = (payload: Payload) =>
    signTransaction({ payload, nonce: randomNonce(), secretKey: hexToBytes(net.accounts[0].secretKey) });
  const send = (tx: Transaction, node = named("open")) => clientOf(net, node).sendTransaction(tx);
  const reach = (sent: readonly Transaction[]) => untilAllHave(net.nodes, sent);
  const proofOf = (parent: string, bytes: number) =>
    sign({ kind: "proof", parent, prover: programs.prover, proof: new Uint8Array(bytes), files: [] });

  test("the node behind a router proves; all know it by the router's address, and have its files", async () => {
    const nat = named("nat");
    const run = runFor(["ok", "a", "b"], ([first]) => first === nat.publicKey);
    // Sent there, too: it comes out, and others come in.
    await send(run, nat);
    await everywhere(net, run.hash, results(1, 3));
    for (const node of net.nodes) {
      const { proofs } = await clientOf(net, node).getRun(run.hash).result();
      expect(proofs[0]?.author).toBe(nat.publicKey);
      expect(new TextDecoder().decode(await proofs[0]?.files[0]?.bytes())).toBe("a,b");
    }
    for (const node of others(nat)) {
      const { peers } = await nodeInfoOf(node.rpcUrl);
      const seen = peers.find(({ publicKey }) => publicKey === nat.publicKey);
      expect(seen).toMatchObject({
        address: nat.p2pAddress,
        httpUrl: `http://${nat.machine.address}:${PORTS.http}`,
      });
    }
  });

  test("Proofs of 0 B to 8 MiB travel from each node to all", async () => {
    const run = runFor(["ok"], () => true);
    await send(run);
    await everywhere(net, run.hash, results(1, 3));
    const sizes = [0, 1, 65_000, 65_519, 65_520, 8 * 2 ** 20];
    const sent = sizes.map((size) => proofOf(run.hash, size));
    for (const [at, tx] of sent.entries()) await send(tx, net.nodes[at % net.nodes.length]);
    await reach(sent);
  });

  test("a node on a slow line that loses packets has part in everything", async () => {
    const slow = named("slow");
    slow.machine.slowDown({ mbitPerSecond: 2, lossPercent: 3 });
    const run = runFor(["ok", "slow"], ([first]) => first === slow.publicKey);
    await send(run);
    await everywhere(net, run.hash, results(1, 3));
    const [there, back] = [proofOf(run.hash, 500_000), proofOf(run.hash, 100_000)];
    await send(there);
    await send(back, slow);
    await reach([there, back]);
  });

  test("a node that was cut off catches up: nothing is missing", async () => {
    const cut = named("cut");
    cut.machine.connect(false);
    const isLast = (ranking: readonly string[]) => ranking.indexOf(cut.publicKey) >= 3;
    const run = runFor(["ok", "cut"], isLast);
    const more = Array.from({ length: 40 }, () => sign({ kind: "stake", value: 1n }));
    await send(run);
    for (const [at, tx] of more.entries()) await send(tx, others(cut)[at % 4]);
    const rest = { ...net, nodes: others(cut) };
    await everywhere(rest, run.hash, results(1, 3));
    cut.machine.connect(true);
    await everywhere(net, run.hash, results(1, 3));
    await reach([run, ...more]);
  });

  test("a node is killed in the middle of a proof: another takes over, and it catches up later", async () => {
    const fifth = named("fifth");
    const go = join(dir, "go");
    const run = runFor(["until", go], ([first]) => first === fifth.publicKey);
    await send(run);
    await everywhere(net, run.hash, ({ state }) => state === "proving");
    await fifth.kill("SIGKILL");
    writeFileSync(go, "");
    const [status] = await everywhere(net, run.hash, ({ verifications }) => verifications.length >= 3);
    const { author } = await clientOf(net, named("open")).getTransaction(status?.proofs[0] as string);
    expect(author).toBe(ranked(run.hash)[1]);
    await fifth.start();
    // It may prove once more before it has heard of the others' Proof; a late result is taken.
    const proof = status?.proofs[0] as string;
    await everywhere(net, run.hash, (seen) => seen.proofs.includes(proof) && seen.verifications.length >= 3);
  });

  test("a peer's file server gives wrong files: the right ones come from elsewhere", async () => {
    const localAddress = net.internet.addAddress();
    const asked = new Set<string | undefined>();
    const right = Buffer.from("the witness");
    let isRight = true;
    const server = createServer((request, response) => {
      asked.add(request.socket.remoteAddress);
      response.end(isRight ? right : "the WITNESS");
    });
    server.listen(0, localAddress);
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const peers: DialledNode[] = [];
    try {
      for (const { p2pAddress: address } of net.nodes) {
        const secretKey = randomBytes(SECRET_KEY_BYTES);
        peers.push(await dialNode({ address, localAddress, secretKey, httpPort: port }));
      }
      const fileUrl = `http://${localAddress}:${port}/witness`;
      const checksum = bytesToHex(blake3(right));
      const inputs = [{ kind: "input", fileName: "/workspace/witness", fileUrl, checksum }] as const;
      const isElsewhere = (ranking: readonly string[]) => ranking[0] !== named("open").publicKey;
      const run = runFor(["ok", "witness"], isElsewhere, inputs);
      // The first node alone gets it as it is.
      await send(run);
      isRight = false;
      await everywhere(net, run.hash, results(1, 3));
      expect(asked.size).toBeGreaterThan(1);
    } finally {
      for (const peer of peers) peer[Symbol.dispose]();
      server.close();
      server.closeAllConnections();
    }
  });

  test("a peer with a wrong file is dropped, and named with the reason; what it said is taken from others", async () => {
    const localAddress = net.internet.addAddress();
    const image = randomBytes(10_000);
    let isRight = false;
    const author = createServer((_, response) => (isRight ? response : response.writeHead(404)).end(image));
    const liar = createServer((_, response) => response.end("another image"));
    for (const server of [author, liar]) server.listen(0, localAddress);
    await Promise.all([author, liar].map((server) => once(server, "listening")));
    const portOf = (server: Server) => (server.address() as AddressInfo).port;
    const secretKey = randomBytes(SECRET_KEY_BYTES);
    const httpPort = portOf(liar);
    const peers: DialledNode[] = [];
    try {
      for (const { p2pAddress: address } of net.nodes) {
        peers.push(await dialNode({ address, localAddress, secretKey, httpPort }));
      }
      const program = createProgramMetadata({
        name: "wanted",
        imageFileName: "program.img",
        imageFileUrl: `http://${localAddress}:${portOf(author)}/program.img`,
        imageFileChecksum: bytesToHex(blake3(image)),
        resources: { memMib: 64n, cpus: 1n, gpus: 0n },
      });
      const deploy = sign({ kind: "deploy", name: "wanted", prover: program, verifier: program });
      // Nobody has it but the liar, so all ask it.
      for (const peer of peers)
        peer.send({ type: "item", kind: "transaction", bytes: encodeTransaction(deploy) });
      await withinSeconds(
        20,
        Promise.all(peers.map(({ closed }) => closed)).then(() => {}),
      );
      for (const node of net.nodes) {
        const info = await nodeInfoOf(node.rpcUrl);
        expect(info.peers).toHaveLength(4);
        expect(info.banned).toContainEqual(
          expect.objectContaining({
            publicKey: publicKeyOf(secretKey),
            reason: expect.stringContaining("wrong file"),
          }),
        );
      }
      isRight = true;
      await reach([deploy]);
    } finally {
      for (const peer of peers) peer[Symbol.dispose]();
      for (const server of [author, liar]) {
        server.close();
        server.closeAllConnections();
      }
    }
  });

  describe("one that lies is dropped, is not spoken to again, and the others lose nothing", () => {
    const stake = () => sign({ kind: "stake", value: 7n });
    const item = (tx: Transaction) =>
      ({ type: "item", kind: "transaction", bytes: encodeTransaction(tx) }) as const;
    const lies: Record<string, (node: DialledNode) => Promise<void> | void> = {
      "a wrong signature": (node) => node.send(item({ ...stake(), signature: "11".repeat(64) })),
      "a wrong hash": (node) => node.send(item({ ...stake(), hash: "22".repeat(32) })),
      "a frame that is not encrypted": (node) => void node.socket.write(Buffer.alloc(70_000, 1)),
      "a message without an end": (node) => node.sendBytes(new Uint8Array(12 * 2 ** 20)),
      "the same transaction 20,000 times": async (node) => {
        const same = item(stake());
        for (let at = 0; at < 20_000 && !node.socket.destroyed; at++) {
          node.send(same);
          if (at % 100 === 0) await node.drained();
        }
      },
    };
    test.each(Object.entries(lies))("%s", async (_, lie) => {
      const { p2pAddress: address } = named("open");
      const localAddress = net.internet.addAddress();
      const who = { address, localAddress, secretKey: randomBytes(SECRET_KEY_BYTES) };
      using liar = await dialNode(who);
      await lie(liar);
      await withinSeconds(60, liar.closed);
      // Refused at once, or as soon as it has said who it is.
      using again = await dialNode(who).catch(() => null);
      await withinSeconds(30, again?.closed);
      const run = runFor(["ok", "still", "here"], () => true);
      await send(run);
      await everywhere(net, run.hash, results(1, 3));
      for (const node of net.nodes) expect((await nodeInfoOf(node.rpcUrl)).peers).toHaveLength(4);
    });
  });
});

async function withinSeconds(seconds: number, wait: Promise<void> | undefined): Promise<void> {
  const late = async () => {
    await delay(seconds * 1_000, undefined, { ref: false });
    throw new Error(`the connection is still open after ${seconds} s`);
  };
  await Promise.race([wait, late()]);
}
