import { setTimeout as delay } from "node:timers/promises";
import { GevulotError } from "gevulot-sdk";
import type { DevnetNode } from "./devnetNode.ts";
import { type DevnetOptions, START_TIMEOUT_MS } from "./devnetOptions.ts";

import { sayWait } from "./sayWait.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    DEVNET_NO_MESH: { missing: readonly string[] };
  }
}

const POLL_MS = 10;

/** Resolves when each node has heard of all the others. Throws `DEVNET_NO_MESH`. */
export async function untilMesh(nodes: readonly DevnetNode[], options: DevnetOptions): Promise<void> {
  if (nodes.length === 1) return;
  const { startTimeoutMs = START_TIMEOUT_MS, signal } = options;
  const giveUpAt = Date.now() + startTimeoutMs;
  let missing = await missingLinks(nodes);
  const wait = async (): Promise<void> => {
    while (missing.length > 0) {
      signal?.throwIfAborted();
      if (Date.now() > giveUpAt) throw noMesh(missing, nodes, startTimeoutMs);
      await delay(POLL_MS, undefined, signal ? { signal } : {});
      missing = await missingLinks(nodes);
    }
  };
  await sayWait(wait(), {
    what: "the nodes to find each other",
    lastLine: () => missing[0] ?? "",
    onProgress: options.onProgress,
  });
}

async function missingLinks(nodes: readonly DevnetNode[]): Promise<string[]> {
  const missing = await Promise.all(
    nodes.map(async (node) => {
      const known = new Set(await knownTo(node));
      return nodes
        .filter(({ publicKey }) => !known.has(publicKey))
        .map(({ name }) => `${node.name} has not heard of ${name}`);
    }),
  );
  return missing.flat();
}

function noMesh(missing: readonly string[], nodes: readonly DevnetNode[], timeoutMs: number): GevulotError {
  return new GevulotError(
    "DEVNET_NO_MESH",
    `The nodes did not find each other within ${timeoutMs / 1_000} s: ${missing[0]}. Its log: ${nodes[0]?.logFile}`,
    { context: { missing } },
  );
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
