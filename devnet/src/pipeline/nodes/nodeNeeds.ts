import type { TaskKind } from "../plan/planTasks.ts";
import type { NodeFacts } from "./proverNode.ts";

/** What a node must have for a kind of task. */
export interface Needs {
  readonly gpu?: number | undefined;
  readonly mem_gib?: number | undefined;
  readonly cores?: number | undefined;
  readonly labels?: readonly string[] | undefined;
}

export type NeedsByKind = Readonly<Partial<Record<TaskKind, Needs>>>;
export type Resources = Pick<NodeFacts, "cores" | "memMib" | "gpus" | "labels">;

const MIB_PER_GIB = 1_024;

/**
 * What a node has too little of, e.g. `gpu 1 (has 0)`. What it does not say of itself, as an existing node, it is taken to
 * have.
 */
export function lacks(needs: Needs | undefined, node: Resources): string[] {
  if (!needs) return [];
  const short = (name: string, wanted: number | undefined, has: number | null): string[] =>
    wanted === undefined || has === null || has >= wanted ? [] : [`${name} ${wanted} (has ${has})`];
  const memGib = node.memMib === null ? null : Math.round((node.memMib / MIB_PER_GIB) * 10) / 10;
  const labels = node.labels;
  return [
    ...short("gpu", needs.gpu, node.gpus),
    ...short("mem_gib", needs.mem_gib, memGib),
    ...short("cores", needs.cores, node.cores),
    ...(labels === null ? [] : (needs.labels ?? []).filter((label) => !labels.includes(label))).map(
      (label) => `label ${label}`,
    ),
  ];
}

/** Why no node can do a kind of task, in a sentence; null where one can. */
export function whyNone(
  kind: TaskKind,
  nodes: readonly {
    readonly id: string;
    readonly offers: ReadonlySet<TaskKind>;
    readonly can: ReadonlySet<TaskKind>;
  }[],
  lacksOf: (id: string) => readonly string[],
): string | null {
  if (nodes.some((node) => node.can.has(kind))) return null;
  const offering = nodes.filter((node) => node.offers.has(kind));
  if (kind === "verify") return "this stage has no [steps] verify any more: configure it";
  if (offering.length === 0) {
    return `no node is here that does ${kind}: start one whose configuration has [steps] ${kind}`;
  }
  const short = offering.map(({ id }) => `${id} lacks ${lacksOf(id).join(", ")}`).join("; ");
  return `no node has what [needs.${kind}] asks for: ${short}`;
}
