import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { hexToBytes, randomNonce, signTransaction, type Transaction } from "gevulot-sdk/protocol";
import { expect, test } from "vitest";
import { createNamespaceNetwork, type NamespaceNode, untilAllHave } from "../fixtures/namespaceNode.ts";
import { whyNoNamespaces } from "../fixtures/netns.ts";
import { clientOf } from "../fixtures/network.ts";
import { nodeInfoOf } from "../fixtures/nodeInfo.ts";

/** Longer than the 50 s after which a silent peer is gone, so that both sides have given the other up. */
const CUT_MS = 75_000;
const COUNT = 3_000;

test("a node that is cut off until all have given it up catches up: nothing is missing", async (context) => {
  const skipped = whyNoNamespaces();
  if (skipped !== null) context.skip(skipped);
  const dir = mkdtempSync(join(tmpdir(), "cut-"));
  try {
    chmodSync(dir, 0o755);
    await using net = await createNamespaceNetwork({
      dir,
      machines: (internet) => ({
        first: internet.addMachine("first"),
        second: internet.addMachine("second"),
        cut: internet.addMachine("cut"),
      }),
      options: { provider: "process", acl: "off", httpHealthcheckListenAddr: "127.0.0.1:0" },
    });
    const [first, second, cut] = net.nodes as [NamespaceNode, NamespaceNode, NamespaceNode];
    const secretKey = hexToBytes(net.accounts[0].secretKey);
    const send = async (node: NamespaceNode): Promise<Transaction> => {
      const tx = signTransaction({ payload: { kind: "stake", value: 1n }, nonce: randomNonce(), secretKey });
      await clientOf(net, node).sendTransaction(tx);
      return tx;
    };
    const peersOf = async (node: NamespaceNode) => (await nodeInfoOf(node.rpcUrl)).peers.length;
    await untilAllHave(net.nodes, [await send(first)]);

    cut.machine.connect(false);
    const cutAtMs = Date.now();
    const untilNoticed = async (): Promise<number> => {
      await expect.poll(() => peersOf(first), { timeout: CUT_MS, interval: 500 }).toBe(1);
      return Date.now() - cutAtMs;
    };
    const noticed = untilNoticed();
    const sent: Transaction[] = [];
    while (sent.length < COUNT) {
      sent.push(...(await Promise.all(Array.from({ length: 20 }, (_, at) => send(at % 2 ? first : second)))));
    }
    const noticedAfterMs = await noticed;
    expect(noticedAfterMs).toBeGreaterThan(45_000);
    await delay(cutAtMs + CUT_MS - Date.now());

    cut.machine.connect(true);
    const backAtMs = Date.now();
    await untilAllHave(net.nodes, sent, 300_000);
    const seconds = (ms: number) => (ms / 1_000).toFixed(1);
    console.log(
      `given up after ${seconds(noticedAfterMs)} s; ${COUNT} transactions caught up on ${seconds(Date.now() - backAtMs)} s after ${seconds(backAtMs - cutAtMs)} s without a line`,
    );
    for (const node of net.nodes) expect(await peersOf(node)).toBe(2);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
