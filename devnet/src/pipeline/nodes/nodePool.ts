import type { ChannelCredentials, ServiceDefinition } from "@grpc/grpc-js";
import type { Logger } from "pino";
import type { TaskKind } from "../plan/planTasks.ts";
import type { NodeLoad } from "../schedule/choosePlace.ts";
import { TASK_TYPE } from "../store/statuses.ts";
import type { WireNodeHello } from "../wire/messages.ts";
import { createNodeClient, type NodeClient } from "./nodeClient.ts";

/** A prover node, registered or of the configuration's list. */
export interface ProverNode extends NodeLoad {
  readonly name: string;
  readonly addr: string;
  /** Has the stage's base folder on its own disk. */
  readonly sharesBase: boolean;
  readonly isRegistered: boolean;
  readonly cores: number | null;
  readonly memMib: number | null;
  readonly gpus: number | null;
  readonly labels: readonly string[];
  /** Null for the stage itself, which only verifies. */
  readonly client: NodeClient | null;
  /** Aborted when it left, or stopped beating: its calls will not be answered. */
  readonly gone: AbortSignal;
  /** Tasks that this stage has there. */
  readonly tasks: Set<string>;
}

export interface NodePool extends AsyncDisposable {
  nodes(): readonly ProverNode[];
  /** A node registers; it leaves by `leave`. Its tasks' calls break by themselves. */
  join(hello: WireNodeHello): { drain(draining: boolean): void; leave(): void };
  /** A call to it was lost: it gets nothing for a while. */
  rest(nodeId: string): void;
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

interface MutableNode extends ProverNode {
  isDraining: boolean;
  restsUntil: number;
  losses: number;
  remove(): void;
}

const ALL_KINDS = new Set(Object.keys(TASK_TYPE) as TaskKind[]);
/** What existing prover nodes have methods for. */
const WIRE_KINDS: ReadonlySet<TaskKind> = new Set([...ALL_KINDS].filter((kind) => kind !== "verify"));
const FIRST_REST_MS = 500;
const LONGEST_REST_MS = 60_000;

export function createNodePool(deps: NodePoolDeps, options: NodePoolOptions): NodePool {
  const nodes = new Map<string, MutableNode>();
  const timers = new Set<NodeJS.Timeout>();
  const add = (facts: Omit<ProverNode, "client" | "gone" | "tasks" | "running" | "isOpen">): MutableNode => {
    const tasks = new Set<string>();
    const gone = new AbortController();
    const client = facts.addr === "" ? null : createNodeClient(deps, facts.addr);
    const node: MutableNode = {
      ...facts,
      tasks,
      client,
      gone: gone.signal,
      remove() {
        if (nodes.get(this.id) === this) nodes.delete(this.id);
        gone.abort();
        client?.close();
      },
      isDraining: false,
      restsUntil: 0,
      losses: 0,
      get running() {
        return tasks.size;
      },
      get isOpen() {
        return !this.isDraining && this.restsUntil <= deps.now();
      },
    };
    nodes.set(node.id, node);
    return node;
  };
  const unknown = { cores: null, memMib: null, gpus: null, labels: [], isRegistered: false };
  for (const addr of options.proverAddrs) {
    add({ ...unknown, id: addr, name: addr, addr, can: WIRE_KINDS, slots: 1, sharesBase: true });
  }
  if (options.verifies) {
    const can = new Set<TaskKind>(["verify"]);
    add({ ...unknown, id: "stage", name: "stage", addr: "", can, slots: 1, sharesBase: true });
  }

  return {
    nodes: () => [...nodes.values()],
    join(hello) {
      // It comes again before the old call was seen to break: after a restart, of it or of the network.
      nodes.get(hello.node_id)?.remove();
      const node = add({
        id: hello.node_id,
        name: hello.name || hello.node_id,
        addr: hello.addr,
        can: new Set(hello.can.filter((kind): kind is TaskKind => ALL_KINDS.has(kind as TaskKind))),
        slots: Math.max(1, hello.slots),
        sharesBase: hello.base_id !== "" && hello.base_id === options.baseId,
        isRegistered: true,
        cores: hello.cores,
        memMib: Number(hello.mem_mib),
        gpus: hello.gpus,
        labels: hello.labels,
      });
      const where = node.sharesBase ? "shares the base folder" : "gets its data over gRPC";
      deps.log.info(
        { node: node.name, addr: node.addr, can: hello.can, slots: node.slots },
        `a node joined; it ${where}`,
      );
      deps.onRoom();
      return {
        drain(draining) {
          if (draining && !node.isDraining)
            deps.log.info({ node: node.name }, "a node drains: it gets nothing new");
          node.isDraining = draining;
        },
        leave() {
          if (nodes.get(node.id) !== node) return;
          node.remove();
          deps.log.info({ node: node.name }, "a node left");
        },
      };
    },
    rest(nodeId) {
      const node = nodes.get(nodeId);
      if (!node) return;
      const restMs = Math.min(LONGEST_REST_MS, FIRST_REST_MS * 2 ** node.losses);
      node.losses += 1;
      node.restsUntil = deps.now() + restMs;
      const timer = setTimeout(() => {
        timers.delete(timer);
        deps.onRoom();
      }, restMs + 1);
      timers.add(timer);
    },
    async [Symbol.asyncDispose]() {
      for (const timer of timers) clearTimeout(timer);
      for (const node of [...nodes.values()]) node.remove();
    },
  };
}
