import type { ChannelCredentials } from "@grpc/grpc-js";
import type { Logger } from "pino";
import type { TaskKind } from "../plan/planTasks.ts";
import type { WireNodeHello } from "../wire/messages.ts";
import type { Protos } from "../wire/protos.ts";
import { createNodeClient } from "./nodeClient.ts";
import { type NeedsByKind, whyNone } from "./nodeNeeds.ts";
import { probeNode, whereIsData } from "./probeNode.ts";
import {
  createProverNode,
  type ListedKinds,
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
  /** Why no node can do a kind of task; null where one can. */
  whyNone(kind: TaskKind): string | null;
  /** A call to it was lost, or it has no room: it gets nothing for a while, longer each time. */
  rest(node: ProverNode, longestMs: number): void;
}

export interface NodePlace {
  /** @param running the tasks that it has, also of other stages */
  hear(alive: { readonly draining: boolean; readonly running: readonly string[] }): void;
  leave(): void;
}

export interface NodePoolDeps {
  readonly log: Logger;
  readonly protos: Pick<Protos, "prover" | "nodeInfo">;
  readonly credentials: ChannelCredentials;
  readonly now: () => number;
  /** Something may fit now that did not before. */
  readonly onRoom: () => void;
}

export interface NodePoolOptions extends ListedKinds {
  /** Of the configuration; taken to share the base folder, as with the existing service, unless they say other. */
  readonly proverAddrs: readonly string[];
  readonly baseId: string;
  /** The stage checks finished proofs itself. */
  readonly verifies: boolean;
  readonly needs: NeedsByKind;
}

export function createNodePool(deps: NodePoolDeps, options: NodePoolOptions): NodePool {
  const nodes = new Map<string, ProverNode>();
  const timers = new Set<NodeJS.Timeout>();
  const probes: { stop(): void }[] = [];
  const add = (facts: NodeFacts): ProverNode => {
    const client = facts.addr === "" ? null : createNodeClient(deps, facts.addr);
    const node = createProverNode({ now: deps.now, client, needs: options.needs }, facts);
    nodes.set(node.id, node);
    return node;
  };
  const rest: NodePool["rest"] = (node, longestMs) => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      deps.onRoom();
    }, node.rest(longestMs) + 1);
    timers.add(timer);
  };
  /** Listed nodes that registered too are there once: as what they registered. */
  const twins = new Map<string, string>();
  const isTwin = (node: ProverNode): boolean => {
    const id = twins.get(node.id);
    if (id !== undefined && nodes.has(id)) return true;
    return (
      !node.isRegistered && [...nodes.values()].some((one) => one.isRegistered && one.addr === node.addr)
    );
  };
  for (const [place, addr] of options.proverAddrs.entries()) {
    const node = add(listedNode(addr, place, options));
    const onHello = (hello: WireNodeHello): void => {
      twins.set(node.id, hello.node_id);
      node.learn(registeredNode(hello, options.baseId));
    };
    probes.push(probeNode({ log: deps.log, onRoom: deps.onRoom, onHello }, node));
  }
  if (options.verifies) add(stageAsNode());
  const here = (): ProverNode[] => [...nodes.values()].filter((node) => !isTwin(node));

  return {
    nodes: here,
    whyNone: (kind) => whyNone(kind, here(), (id) => nodes.get(id)!.lacks(kind)),
    rest,
    join(hello) {
      // It comes again before the old call was seen to break: after a restart, of it or of the network.
      nodes.get(hello.node_id)?.remove();
      const node = add(registeredNode(hello, options.baseId));
      logJoin(deps.log, node);
      deps.onRoom();
      return {
        hear({ draining, running }) {
          if (draining && node.isOpen) deps.log.info({ node: node.id }, "a node drains: it gets nothing new");
          node.drain(draining);
          node.hear(running);
        },
        leave() {
          if (nodes.get(node.id) !== node) return;
          nodes.delete(node.id);
          node.remove();
          deps.log.info({ node: node.id }, "a node left");
        },
      };
    },
    async [Symbol.asyncDispose]() {
      for (const timer of timers) clearTimeout(timer);
      for (const probe of probes) probe.stop();
      for (const node of nodes.values()) node.remove();
      nodes.clear();
    },
  };
}

function logJoin(log: Logger, node: ProverNode): void {
  const { id, addr, slots } = node;
  const kept = [...node.offers].filter((kind) => !node.can.has(kind));
  const lacking = Object.fromEntries(kept.map((kind) => [kind, node.lacks(kind).join(", ")]));
  const facts = { node: id, addr, can: [...node.can], slots, ...(kept.length > 0 && { lacking }) };
  log.info(facts, `a node joined; ${whereIsData(node)}`);
}
