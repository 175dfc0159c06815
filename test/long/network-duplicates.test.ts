import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { startDevnet } from "gevulot-devnet";
import {
  encodeTransaction,
  hexToBytes,
  randomNonce,
  SECRET_KEY_BYTES,
  signTransaction,
  type Transaction,
} from "gevulot-sdk/protocol";
import { expect, test } from "vitest";
import { dialNode } from "../fixtures/dialNode.ts";
import { clientOf } from "../fixtures/network.ts";
import { nodeInfoOf } from "../fixtures/nodeInfo.ts";

const COUNT = 1_000_000;
/** What is held for 65,536 hashes, 4,096 bans, and the queues of sockets, comes to less. */
const MAX_GROWTH_MIB = 150;
const ATTEMPTS_TO_COME_BACK = 20;

test("a million duplicates of one machine: it is dropped each time, memory stays, the others lose nothing", async () => {
  await using net = await startDevnet({ nodes: 3, provider: "process", memGb: 4, numCpus: 8 });
  const [node, other] = net.nodes;
  const secretKey = hexToBytes(net.accounts[0].secretKey);
  const stake = (): Transaction =>
    signTransaction({ payload: { kind: "stake", value: 1n }, nonce: randomNonce(), secretKey });
  const same = { type: "item", kind: "transaction", bytes: encodeTransaction(stake()) } as const;

  let sent = 0;
  let connections = 0;
  /** With another key each time, as its last one is banned. */
  const flood = async (): Promise<void> => {
    using liar = await dialNode({
      address: node.p2pAddress,
      localAddress: "127.0.0.1",
      secretKey: randomBytes(SECRET_KEY_BYTES),
    });
    connections += 1;
    while (!liar.socket.destroyed && sent < COUNT) {
      for (let at = 0; at < 100; at++) liar.send(same);
      sent += 100;
      await liar.drained();
      // The node's answer, and that it closed, are read in between.
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const memoryOf = () =>
    Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${node.pid}/status`, "utf8"))?.[1]) / 1_024;

  await flood();
  const beforeMib = memoryOf();
  let mostMib = beforeMib;
  const honest: { readonly hash: string; readonly ms: number }[] = [];
  const travels = async (): Promise<void> => {
    const tx = stake();
    const from = Date.now();
    await clientOf(net, other as typeof node).sendTransaction(tx);
    const isThere = () =>
      clientOf(net, node)
        .getTransaction(tx.hash)
        .then(
          () => true,
          () => false,
        );
    await expect.poll(isThere, { timeout: 20_000, interval: 20 }).toBe(true);
    honest.push({ hash: tx.hash, ms: Date.now() - from });
  };
  let failures = 0;
  const started = Date.now();
  while (sent < COUNT) {
    await flood().catch(() => {
      failures += 1;
      expect(failures).toBeLessThan(ATTEMPTS_TO_COME_BACK);
    });
    mostMib = Math.max(mostMib, memoryOf());
    if (connections % 20 === 0) await travels();
  }
  const slowestMs = Math.max(...honest.map(({ ms }) => ms));
  console.log(
    `${sent} duplicates over ${connections} connections in ${Math.round((Date.now() - started) / 1_000)} s; memory ${beforeMib.toFixed(0)} MiB before, ${mostMib.toFixed(0)} MiB at most; ${honest.length} transactions of others came meanwhile, the slowest in ${slowestMs} ms`,
  );
  expect(connections).toBeGreaterThan(10);
  expect(mostMib - beforeMib).toBeLessThan(MAX_GROWTH_MIB);
  expect(honest.length).toBeGreaterThan(0);
  const info = await nodeInfoOf(node.rpcUrl);
  expect(info.banned.length).toBeGreaterThan(10);
  expect(
    info.peers.filter(({ publicKey }) => net.nodes.some((each) => each.publicKey === publicKey)),
  ).toHaveLength(2);
  for (const each of net.nodes) {
    for (const { hash } of honest) await clientOf(net, each).getTransaction(hash);
  }
});
