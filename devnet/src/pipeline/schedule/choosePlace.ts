import type { TaskKind } from "../plan/planTasks.ts";

/** A prover node as the scheduler sees it. */
export interface NodeLoad {
  readonly id: string;
  readonly can: ReadonlySet<TaskKind>;
  readonly slots: number;
  /** Tasks that it has of this stage, those that wait there for a slot too. */
  readonly running: number;
  readonly waitingRoom: number;
  /** How many tasks of a kind may be there beyond its slots now. */
  readonly ahead: (kind: TaskKind) => number;
  /** Reachable, and not draining. */
  readonly isOpen: boolean;
}

export interface PlacedTask {
  readonly kind: TaskKind;
  /** The node that began it before a crash: it may have the result already. */
  readonly lastNode: string | null;
  /** Nodes on which it failed. */
  readonly notOn: readonly string[];
}

/**
 * The node for a task, or null where none has room. The one that began it goes first, then those that can least else
 * (so a node that only wraps is not kept from it by proves), then the least loaded. Where no slot is free a task goes to
 * where it may wait for one. A node on which the task failed gets it again only where no other of the network can do it at
 * all.
 */
export function choosePlace<N extends NodeLoad>(task: PlacedTask, nodes: readonly N[]): N | null {
  const able = nodes.filter((node) => node.isOpen && node.can.has(task.kind));
  const others = able.filter((node) => !task.notOn.includes(node.id));
  const candidates = others.length > 0 ? others : able;
  const began = task.lastNode !== null && !task.notOn.includes(task.lastNode) ? task.lastNode : null;
  const free = candidates.filter((node) => node.running < node.slots);
  const open =
    free.length > 0 ? free : candidates.filter((node) => node.running < node.slots + node.ahead(task.kind));
  return (
    candidates.find((node) => node.id === began && node.running < node.slots + node.waitingRoom) ??
    [...open].sort(
      (left, right) =>
        left.can.size - right.can.size || left.running / left.slots - right.running / right.slots,
    )[0] ??
    null
  );
}
