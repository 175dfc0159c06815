import { createHash } from "node:crypto";
import { GevulotError } from "gevulot-sdk";
import type { FaultSettings } from "../faults/nodeFaults.ts";
import type { DevnetNode } from "./devnetNode.ts";
import type { DevnetOptions } from "./devnetOptions.ts";
import { untilMesh } from "./mesh.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    FAULT_INVALID: { fault: string };
  }
}

/** Something that goes wrong in a devnet until it is healed, by hand or by `await using`. */
export interface Fault extends AsyncDisposable {
  /** In words, with the nodes that it took: for a test's output. */
  readonly description: string;
  /** Resolves when all is as before. Healed twice is healed once. */
  heal(): Promise<void>;
}

export interface ChanceOptions {
  /** How often, 0 to 1. Of the same seed, Run and step it is always the same. Default 1. */
  readonly chance?: number;
}

/**
 * Faults of a devnet, for tests of what an app does then. They are real: nodes do lie, and connections are cut. All
 * that is left to chance follows from the seed.
 */
export interface DevnetFaults {
  readonly seed: number;
  /** Only nodes of one group reach each other; those that are in none make a group of their own. */
  partition(groups: readonly (readonly number[])[]): Promise<Fault>;
  /** A crash. Healed, the node is started again on its ports. `any`: the seed chooses it. */
  killNode(node: number | "any"): Promise<Fault>;
  /** Proofs of the node, or of all nodes, are not what their provers made: a bit of the data and of each file is flipped. */
  tamperProof(options?: ChanceOptions & { readonly node?: number }): Promise<Fault>;
  /** The node calls Proofs valid that its verifiers reject, or the other way round. Default `valid`. */
  lyingVerifier(
    node: number,
    options?: ChanceOptions & { readonly says?: "valid" | "invalid" },
  ): Promise<Fault>;
  /** The node takes so much longer for each reading and each writing of a task's files. Default 1,000. */
  slowDisk(node: number, options?: { readonly delayMs?: number }): Promise<Fault>;
  /** Connections of the node's VMs to it are cut: programs turn to files, or fail. */
  dropVsock(node: number): Promise<Fault>;
  /** All that are not healed yet. */
  heal(): Promise<void>;
}

interface NodeFault {
  readonly node: number;
  readonly settings: FaultSettings;
}

const DEFAULT_SLOW_MS = 1_000;

/** Keeps which faults there are, and tells the nodes. */
function createInjector(nodes: readonly DevnetNode[], options: DevnetOptions) {
  const active = new Set<readonly NodeFault[]>();
  const open = new Set<Fault>();

  const tell = async (index: number): Promise<void> => {
    const node = nodes[index] as DevnetNode;
    if (node.pid === null) return;
    const all = [...active].flat().filter((each) => each.node === index);
    const cutFrom = [...new Set(all.flatMap(({ settings }) => settings.cutFrom ?? []))];
    const faults = Object.assign({}, ...all.map(({ settings }) => settings), { cutFrom }) as FaultSettings;
    await node.order({ kind: "faults", faults });
  };
  const add = (description: string, end: () => Promise<void>): Fault => {
    let ended: Promise<void> | undefined;
    const heal = () => {
      open.delete(fault);
      ended ??= end();
      return ended;
    };
    const fault: Fault = { description, heal, [Symbol.asyncDispose]: heal };
    open.add(fault);
    return fault;
  };
  const inject = async (description: string, parts: readonly NodeFault[]): Promise<Fault> => {
    const touched = [...new Set(parts.map(({ node }) => node))];
    const tellAll = async () => void (await Promise.all(touched.map(tell)));
    active.add(parts);
    await tellAll();
    return add(description, async () => {
      active.delete(parts);
      await tellAll();
      const isCut = parts.some(({ settings }) => settings.cutFrom !== undefined);
      if (isCut) await untilMesh(running(nodes), options);
    });
  };
  const one = (fault: string, node: number, settings: FaultSettings): Promise<Fault> => {
    requireNode(nodes, fault, node);
    return inject(`${fault} of node${node}`, [{ node, settings }]);
  };

  return { open, tell, add, inject, one };
}

export function createDevnetFaults(nodes: readonly DevnetNode[], options: DevnetOptions): DevnetFaults {
  const seed = options.faultSeed ?? 1;
  const { open, tell, add, inject, one } = createInjector(nodes, options);
  let chosen = 0;
  return {
    seed,
    async partition(groups) {
      const parts = cutsBetween(nodes, groups);
      return inject(`partition ${JSON.stringify(groups)}`, parts);
    },
    async killNode(which) {
      const index = which === "any" ? pick(seed, chosen++, nodes.length) : which;
      const node = requireNode(nodes, "killNode", index);
      await node.kill("SIGKILL");
      return add(`killNode of node${index}`, async () => {
        await node.start();
        await tell(index);
        await untilMesh(running(nodes), options);
      });
    },
    async tamperProof({ node, chance = 1 } = {}) {
      const settings = { tamperProof: { chance: requireChance("tamperProof", chance), seed } };
      if (node !== undefined) return one("tamperProof", node, settings);
      return inject(
        "tamperProof of all nodes",
        nodes.map((_, index) => ({ node: index, settings })),
      );
    },
    async lyingVerifier(node, { chance = 1, says = "valid" } = {}) {
      const lie = { chance: requireChance("lyingVerifier", chance), seed, says };
      return one("lyingVerifier", node, { lyingVerifier: lie });
    },
    slowDisk: async (node, { delayMs = DEFAULT_SLOW_MS } = {}) => {
      if (!(delayMs >= 0)) throw invalid("slowDisk", `delayMs must be a number from 0, not ${delayMs}`);
      return one("slowDisk", node, { slowDiskMs: delayMs });
    },
    dropVsock: async (node) => one("dropVsock", node, { dropVsock: true }),
    async heal() {
      const healed = await Promise.allSettled([...open].map((fault) => fault.heal()));
      const failed = healed.find((each) => each.status === "rejected");
      if (failed) throw failed.reason;
    },
  };
}

const running = (nodes: readonly DevnetNode[]) => nodes.filter(({ pid }) => pid !== null);

function cutsBetween(nodes: readonly DevnetNode[], groups: readonly (readonly number[])[]): NodeFault[] {
  const groupOf = new Map<number, number>();
  for (const [group, members] of groups.entries()) {
    for (const member of members) {
      requireNode(nodes, "partition", member);
      if (groupOf.has(member)) throw invalid("partition", `node ${member} is in two groups`);
      groupOf.set(member, group);
    }
  }
  return nodes.map((_, node) => {
    const others = nodes.filter((_other, index) => groupOf.get(index) !== groupOf.get(node));
    return { node, settings: { cutFrom: others.map(({ p2pAddress }) => p2pAddress) } };
  });
}

/** The same for the same seed and turn. */
function pick(seed: number, turn: number, count: number): number {
  return createHash("sha256").update(`${seed} ${turn}`).digest().readUInt32BE() % count;
}

function requireNode(nodes: readonly DevnetNode[], fault: string, index: number): DevnetNode {
  const node = nodes[index];
  if (node) return node;
  throw invalid(fault, `there is no node ${index}: the devnet has ${nodes.length}, from 0 on`);
}

function requireChance(fault: string, chance: number): number {
  if (chance >= 0 && chance <= 1) return chance;
  throw invalid(fault, `chance must be from 0 to 1, not ${chance}`);
}

function invalid(fault: string, reason: string): GevulotError {
  return new GevulotError("FAULT_INVALID", `faults.${fault}: ${reason}.`, { context: { fault } });
}
