import type { TaskKind } from "../plan/planTasks.ts";
import type { NodeLoad } from "../schedule/choosePlace.ts";
import { TASK_TYPE } from "../store/statuses.ts";
import type { WireNodeHello } from "../wire/messages.ts";
import type { NodeClient } from "./nodeClient.ts";
import { lacks, type NeedsByKind } from "./nodeNeeds.ts";
import { createNodeWork, type NodeWork } from "./nodeWork.ts";

/** What is known of a prover node. */
export interface NodeFacts {
  readonly id: string;
  /** Empty for the stage itself, which only verifies. */
  readonly addr: string;
  readonly can: ReadonlySet<TaskKind>;
  readonly slots: number;
  /** So many tasks may wait there for a slot; an existing node runs all that it gets at once. */
  readonly waitingRoom: number;
  /** Has the stage's base folder on its own disk. */
  readonly sharesBase: boolean;
  /** By itself, not by the configuration's list. */
  readonly isRegistered: boolean;
  /** Null where it does not say; so the next three. */
  readonly cores: number | null;
  readonly memMib: number | null;
  readonly gpus: number | null;
  readonly labels: readonly string[] | null;
}

/** What a listed node of ours says of itself; without it, it is taken for an existing one. */
export type Learnt = Pick<NodeFacts, "can" | "sharesBase" | "cores" | "memMib" | "gpus" | "labels">;

/** A prover node at work. */
export interface ProverNode extends NodeFacts, NodeLoad {
  /** Null for the stage itself. */
  readonly client: NodeClient | null;
  /** Aborted when it left, or stopped beating: its calls will not be answered. */
  readonly gone: AbortSignal;
  /** Tasks that this stage has there. */
  readonly work: NodeWork;
  /** What it does where it has what that needs: those are in `can`. */
  readonly offers: ReadonlySet<TaskKind>;
  lacks(kind: TaskKind): readonly string[];
  drain(draining: boolean): void;
  /** The tasks that it says it has, also of other stages. */
  readonly heard: readonly string[];
  hear(running: readonly string[]): void;
  learn(known: Learnt): void;
  /** It gets nothing for a while, longer each time; gives how many milliseconds. */
  rest(longestMs: number): number;
  /** A call was answered. */
  answered(): void;
  /** It can't be reached, or says that it does not work: it gets nothing until it is back. */
  away(isAway: boolean): void;
  remove(): void;
}

const ALL_KINDS = new Set(Object.keys(TASK_TYPE) as TaskKind[]);
/** What existing prover nodes have methods for. */
const WIRE_KINDS: ReadonlySet<TaskKind> = new Set([...ALL_KINDS].filter((kind) => kind !== "verify"));
const MAX_SLOTS = 1_024;
const FIRST_REST_MS = 500;
const AWAKE = { times: 0, until: 0 };

export function createProverNode(
  deps: { readonly now: () => number; readonly client: NodeClient | null; readonly needs: NeedsByKind },
  facts: NodeFacts,
): ProverNode {
  let known: Learnt = facts;
  const lacksOf = (kind: TaskKind): readonly string[] => lacks(deps.needs[kind], known);
  const able = () => new Set([...known.can].filter((kind) => lacksOf(kind).length === 0));
  let can: ReadonlySet<TaskKind> = able();
  let heard: readonly string[] = [];
  const work = createNodeWork(deps, { slots: facts.slots, room: facts.waitingRoom });
  const gone = new AbortController();
  let isDraining = false;
  let isAway = false;
  let resting = AWAKE;
  const endRest = (): void => {
    resting = AWAKE;
  };
  return {
    ...facts,
    get offers() {
      return known.can;
    },
    get sharesBase() {
      return known.sharesBase;
    },
    lacks: lacksOf,
    get can() {
      return can;
    },
    work,
    client: deps.client,
    gone: gone.signal,
    get running() {
      return work.count + heard.filter((id) => !work.knows(id)).length;
    },
    ahead: work.ahead,
    get isOpen() {
      return !isDraining && !isAway && resting.until <= deps.now();
    },
    drain(draining) {
      isDraining = draining;
    },
    get heard() {
      return heard;
    },
    hear(running) {
      heard = running;
    },
    learn(said) {
      known = said;
      can = able();
    },
    rest(longestMs) {
      const restMs = Math.min(longestMs, FIRST_REST_MS * 2 ** resting.times);
      resting = { times: resting.times + 1, until: deps.now() + restMs };
      return restMs;
    },
    answered: endRest,
    away(isAwayNow) {
      isAway = isAwayNow;
      endRest();
    },
    remove() {
      gone.abort();
      deps.client?.close();
    },
  };
}

/** Which of the listed nodes get what not all of them may be able to do. */
export interface ListedKinds {
  /** Addresses; default: the first, as with the existing service. */
  readonly snarkAddrs?: readonly string[] | undefined;
  /** The first so many get proves; default: all. */
  readonly proveNodesNum?: number | undefined;
}

/** A node of the configuration's list: as with the existing service one task at a time, of the kinds that its place gives it. */
export function listedNode(addr: string, place = 0, kinds: ListedKinds = {}): NodeFacts {
  const { snarkAddrs, proveNodesNum = Number.POSITIVE_INFINITY } = kinds;
  const can = new Set(WIRE_KINDS);
  if (snarkAddrs ? !snarkAddrs.includes(addr) : place > 0) can.delete("snark");
  if (place >= proveNodesNum) can.delete("prove");
  return { ...UNKNOWN, id: addr, addr, can };
}

/** The stage, which checks finished proofs itself. */
export function stageAsNode(): NodeFacts {
  return { ...UNKNOWN, id: "stage", addr: "", can: new Set<TaskKind>(["verify"]) };
}

export function registeredNode(hello: WireNodeHello, baseId: string): NodeFacts {
  return {
    id: hello.node_id,
    addr: hello.addr,
    can: new Set(hello.can.filter((kind): kind is TaskKind => WIRE_KINDS.has(kind as TaskKind))),
    slots: Math.min(Math.max(1, hello.slots), MAX_SLOTS),
    waitingRoom: Math.min(hello.waiting_room, MAX_SLOTS),
    sharesBase: hello.base_id !== "" && hello.base_id === baseId,
    isRegistered: true,
    cores: hello.cores,
    memMib: Number(hello.mem_mib),
    gpus: hello.gpus,
    labels: hello.labels,
  };
}

const UNKNOWN = {
  slots: 1,
  waitingRoom: 0,
  sharesBase: true,
  isRegistered: false,
  cores: null,
  memMib: null,
  gpus: null,
  labels: null,
};
