import type { ChannelCredentials, ServiceDefinition } from "@grpc/grpc-js";
import type { Logger } from "pino";
import type { WireNodeHello } from "../wire/messages.ts";
import { createNodeClient } from "./nodeClient.ts";
import {
  createProverNode,
  listedNode,
  type NodeFacts,
  type ProverNode,
  registeredNode,
  stageAsNode,
} from "./proverNode.ts";

export interface NodePool extends AsyncDisposable {
  nodes(): readonly ProverNode[];
  /** A node registers; it leaves by `leave`, which ends its calls. */
  join(hello: WireNodeHello): NodePlace;
  /** A call to it was lost, or it has no room: it gets nothing for a while, longer each time. */
  rest(node: ProverNode, longestMs: number): void;
}

export interface NodePlace {
  drain(draining: boolean): void;
  leave(): void;
}

export interface NodePoolDeps {
  readonly log: Logger;
  readonly prover: ServiceDefinition;
  readonly credentials: ChannelCredentials;
  readonly now: () => number;
  /** Something may fit now that did not before. */
  readonly onRoom: () => void;
}

export interface NodePoolOptions {
  /** Of the configuration; taken to share the base folder, as with the existing service. */
  readonly proverAddrs: readonly string[];
  readonly baseId: string;
  /** The stage checks finished proofs itself. */
  readonly verifies: boolean;
}

export function createNodePool(deps: NodePoolDeps, options: NodePoolOptions): NodePool {
  const nodes = new Map<string, ProverNode>();
  const timers = new Set<NodeJS.Timeout>();
  const add = (facts: NodeFacts): ProverNode => {
    const client = facts.addr === "" ? null : createNodeClient(deps, facts.addr);
    const node = createProverNode({ now: deps.now, client }, facts);
    nodes.set(node.id, node);
    return node;
  };
  for (const addr of options.proverAddrs) {
    add(listedNode(addr));
    deps.log.info({ node: addr }, "a node of prover_addrs; its base_dir must be this stage's");
  }
  if (options.verifies) add(stageAsNode());

  return {
    nodes: () => [...nodes.values()],
    join(hello) {
      // It comes again before the old call was seen to break: after a restart, of it or of the network.
      nodes.get(hello.node_id)?.remove();
      const node = add(registeredNode(hello, options.baseId));
      logJoin(deps.log, node);
      deps.onRoom();
      return {
        drain(draining) {
          if (draining && node.isOpen) deps.log.info({ node: node.id }, "a node drains: it gets nothing new");
          node.drain(draining);
        },
        leave() {
          if (nodes.get(node.id) !== node) return;
          nodes.delete(node.id);
          node.remove();
          deps.log.info({ node: node.id }, "a node left");
        },
      };
    },
    rest(node, longestMs) {
      const timer = setTimeout(() => {
        timers.delete(timer);
        deps.onRoom();
      }, node.rest(longestMs) + 1);
      timers.add(timer);
    },
    async [Symbol.asyncDispose]() {
      for (const timer of timers) clearTimeout(timer);
      for (const node of nodes.values()) node.remove();
      nodes.clear();
    },
  };
}

function logJoin(log: Logger, node: ProverNode): void {
  const where = node.sharesBase
    ? "its base_dir is this stage's"
    : "its base_dir is not this stage's, so its data travels over gRPC";
  const { id, addr, slots } = node;
  log.info({ node: id, addr, can: [...node.can], slots }, `a node joined; ${where}`);
}
