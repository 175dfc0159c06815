import { setTimeout as delay } from "node:timers/promises";
import { isGevulotError } from "gevulot-sdk";
import type { Logger } from "pino";
import { createStack } from "../disposeStack.ts";
import { createNodeFaults, type NodeFaults } from "../faults/nodeFaults.ts";
import { createNode, type KeptParts, type Node } from "../node.ts";
import type { NodeOptions } from "../options.ts";

/** A node that can let go of its database and begin anew, in one process and on the same ports. */
export interface SuspendableNode extends AsyncDisposable {
  /** As it was at its start. */
  readonly node: Node;
  /** What goes wrong with it; none at its start. */
  readonly faults: NodeFaults;
  suspend(): Promise<void>;
  resume(): Promise<void>;
}

/** A connection of another program may have our port as its own for a moment. */
const LISTEN_TRIES = 200;
const LISTEN_PAUSE_MS = 25;

export async function createSuspendableNode(
  deps: { readonly log: Logger },
  options: NodeOptions,
): Promise<SuspendableNode> {
  await using stack = createStack();
  // Connections to the database, and finding out what runs VMs, take longer than all the rest.
  const kept: KeptParts = { stack };
  const faults = createNodeFaults();
  const first = await createNode({ ...deps, kept, faults }, options);
  const running = stack.move();
  const samePorts: NodeOptions = { ...options, ...portsOf(first, options) };
  let current: Node | null = first;
  const suspend = async (): Promise<void> => {
    await current?.[Symbol.asyncDispose]();
    current = null;
  };
  return {
    node: first,
    faults,
    suspend,
    async resume() {
      for (let tries = 1; current === null; tries++) {
        try {
          current = await createNode({ ...deps, kept, faults }, samePorts);
        } catch (error) {
          if (!isGevulotError(error, "PORT_TAKEN") || tries === LISTEN_TRIES) throw error;
          await delay(LISTEN_PAUSE_MS);
        }
      }
    },
    async [Symbol.asyncDispose]() {
      await suspend();
      await running[Symbol.asyncDispose]();
    },
  };
}

function portsOf(node: Node, options: NodeOptions): Partial<NodeOptions> {
  const portOf = (url: string) => Number(new URL(url).port);
  return {
    jsonRpcListenAddr: { ...options.jsonRpcListenAddr, port: portOf(node.rpcUrl) },
    httpDownloadPort: portOf(node.httpUrl),
    p2pListenAddr: { ...options.p2pListenAddr, port: portOf(`http://${node.p2pAddress}`) },
  };
}
