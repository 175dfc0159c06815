import { setTimeout as delay } from "node:timers/promises";
import { GevulotError } from "gevulot-sdk";
import type { DevnetNode } from "./devnetNode.ts";
import { type DevnetOptions, START_TIMEOUT_MS } from "./devnetOptions.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    DEVNET_NO_MESH: { missing: readonly string[] };
  }
}

const POLL_MS = 50;

/** Resolves when each node has heard of all the others. Throws `DEVNET_NO_MESH`. */
export async function untilMesh(nodes: readonly DevnetNode[], options: DevnetOptions): Promise<void> {
  if (nodes.length === 1) return;
  const { startTimeoutMs = START_TIMEOUT_MS, signal } = options;
  const giveUpAt = Date.now() + startTimeoutMs;
  for (;;) {
    signal?.throwIfAborted();
    const missing: string[] = [];
    for (const node of nodes) {
      const known = new Set(await knownTo(node));
      for (const { name, publicKey } of nodes) {
        if (!known.has(publicKey)) missing.push(`${node.name} has not heard of ${name}`);
      }
    }
    if (missing.length === 0) return;
    if (Date.now() > giveUpAt) {
      throw new GevulotError(
        "DEVNET_NO_MESH",
        `The nodes did not find each other within ${startTimeoutMs / 1_000} s: ${missing[0]}. Its log: ${nodes[0]?.logFile}`,
        { context: { missing } },
      );
    }
    await delay(POLL_MS, undefined, signal ? { signal } : {});
  }
}

/** The keys of the nodes that a node knows to be alive, its own included. */
async function knownTo(node: DevnetNode): Promise<string[]> {
  const response = await fetch(node.rpcUrl, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "getNodeInfo", params: [] }),
  });
  const reply = (await response.json()) as { result?: { Ok?: { nodes: { publicKey: string }[] } } };
  return reply.result?.Ok?.nodes.map(({ publicKey }) => publicKey) ?? [];
}
