import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { startDevnet } from "gevulot-devnet";
import { SECRET_KEY_BYTES } from "gevulot-sdk/protocol";
import { expect, test } from "vitest";
import { dialNode } from "../fixtures/dialNode.ts";
import { nodeInfoOf } from "../fixtures/nodeInfo.ts";

const ROUNDS = 4;
const COUNT = 500;
const AT_ONCE = 10;
/** Of the later rounds together: what each connection left behind would show. */
const MAX_GROWTH_MIB = 25;

test("memory over many reconnects, by old keys and new ones", async () => {
  await using net = await startDevnet({ nodes: 1, provider: "process" });
  const [node] = net.nodes;
  const known = randomBytes(SECRET_KEY_BYTES);
  const connect = async (secretKey: Uint8Array): Promise<void> => {
    using peer = await dialNode({ address: node.p2pAddress, localAddress: "127.0.0.1", secretKey });
    peer.send({ type: "ping" });
    await peer.drained();
  };
  const memoryOf = () =>
    Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${node.pid}/status`, "utf8"))?.[1]) / 1_024;
  const seen: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    for (let done = 0; done < COUNT; done += AT_ONCE) {
      await Promise.all(
        Array.from({ length: AT_ONCE }, (_, at) => connect(at === 0 ? known : randomBytes(SECRET_KEY_BYTES))),
      );
    }
    await delay(2_000);
    seen.push(memoryOf());
  }
  const peersOf = async () => (await nodeInfoOf(node.rpcUrl)).peers.length;
  await expect.poll(peersOf, { timeout: 10_000 }).toBe(0);
  console.log(`memory after each ${COUNT} connections: ${seen.map((mib) => mib.toFixed(0)).join(", ")} MiB`);
  expect((seen.at(-1) as number) - (seen[0] as number)).toBeLessThan(MAX_GROWTH_MIB);
});
