import type { Database, Queryable } from "../../store/database.ts";
import type { NodePool } from "../nodes/nodePool.ts";
import type { ProverNode } from "../nodes/proverNode.ts";
import type { TaskKind } from "../plan/planTasks.ts";
import { choosePlace } from "../schedule/choosePlace.ts";
import { chooseReleases } from "../schedule/chooseReleases.ts";
import { orderKinds, type QueueHead } from "../schedule/orderKinds.ts";
import type { TaskQueue } from "../schedule/taskQueue.ts";
import { lockReleases, readOpenWork, readQueueLevels, takeReleases } from "../store/releases.ts";
import { findRunsOfTasks, type PipelineRun } from "../store/runs.ts";
import { readLeftToOthers } from "../store/stages.ts";
import { TASK_TYPE } from "../store/statuses.ts";
import { lockReadyTasks, type PipelineTask, requeueTasks, startTasks } from "../store/tasks.ts";

export interface ClaimDeps {
  readonly database: Database;
  readonly queue: TaskQueue;
  readonly pool: NodePool;
  readonly stageId: string;
}

/** A task that was given a place at a node. */
export interface Start {
  readonly task: PipelineTask;
  readonly run: PipelineRun;
  readonly node: ProverNode;
}

const KINDS = Object.keys(TASK_TYPE) as TaskKind[];
/**
 * Who comes first is decided when the queue is filled, so it must not hold many: of long tasks only what can start at once.
 * Of short ones it is filled when it holds less than one for each slot, as filling it for each alone would cost more than the
 * task's other queries.
 */
const FILL_BELOW_PER_SLOT = 1;
const FILL_TO_PER_SLOT = 3;
/** With what goes before all that is in the queue. */
const URGENT_TO_PER_SLOT = 4;
/** Then a task that fits no node is looked at again. */
const HOMELESS_MS = 1_000;

/**
 * Fills the queue where it runs low, and gives the kinds of which it holds tasks that a node has room for, in the order
 * in which they go first.
 */
export async function releaseTasks({ database, pool, queue }: ClaimDeps): Promise<TaskKind[]> {
  const nodes = pool.nodes();
  const kinds = KINDS.filter((kind) => openPlaces(kind, nodes) > 0);
  if (kinds.length === 0) return [];
  const levels = await readQueueLevels(database, kinds);
  const slots = slotsByKind(nodes);
  const isShort = (kind: TaskKind): boolean =>
    nodes.some((node) => node.can.has(kind) && node.ahead(kind) > 0);
  const fillTo = (kind: TaskKind, perSlot: number): number =>
    isShort(kind) ? slots.get(kind)! * perSlot : openPlaces(kind, nodes);
  const roomOf = (kind: TaskKind): number => {
    const { queued, hasMore, hasUrgent } = levels.get(kind)!;
    const isLow = hasMore && queued < fillTo(kind, FILL_BELOW_PER_SLOT);
    if (isLow) return fillTo(kind, FILL_TO_PER_SLOT) - queued;
    // They may be of a run that has as many at work as it may: others come in their place, so this has an end too.
    const most = slots.get(kind)! * URGENT_TO_PER_SLOT - queued;
    return hasUrgent ? Math.min(openPlaces(kind, nodes), most) : 0;
  };
  const room = new Map(kinds.map((kind) => [kind, roomOf(kind)] as const).filter(([, free]) => free > 0));
  let released: ReadonlyMap<TaskKind, QueueHead> = new Map();
  if (room.size > 0) {
    released = await database.transaction(async (client) => {
      const [, work] = await Promise.all([lockReleases(client), readOpenWork(client)]);
      return takeReleases(client, chooseReleases(work, room), queue.add);
    });
  }
  const headOf = (kind: TaskKind): QueueHead | null => {
    const { head } = levels.get(kind)!;
    const fresh = released.get(kind) ?? null;
    return head === null || (fresh !== null && fresh.priority > head.priority) ? fresh : head;
  };
  return orderKinds(new Map(kinds.map((kind) => [kind, headOf(kind)])));
}

/**
 * Takes tasks of a kind for the places that are open. One commit: after a crash a task is in the queue or at a node, never
 * between.
 * @param starting told of each task before the commit, so that nobody finds it unwatched
 */
export async function claimTasks(deps: ClaimDeps, kind: TaskKind, starting: Set<string>): Promise<Start[]> {
  const places = openPlaces(kind, deps.pool.nodes());
  if (places === 0) return [];
  const placed: Start[] = [];
  try {
    await deps.database.transaction(async (client) => {
      for (const start of await placeClaimed(deps, client, kind, places)) placed.push(start);
      for (const { task } of placed) starting.add(task.id);
      const started = placed.map(({ task, node }) => ({ id: task.id, node: node.id }));
      await startTasks(client, deps.stageId, started);
    });
    return placed;
  } catch (error) {
    for (const { task, node } of placed) node.work.remove(task.id, false);
    throw error;
  }
}

/** Claims, and gives each task a place at a node; those that fit none go back. */
async function placeClaimed(
  { pool, queue, stageId }: ClaimDeps,
  client: Queryable,
  kind: TaskKind,
  places: number,
): Promise<Start[]> {
  const ids = await queue.claim(client, kind, places);
  if (ids.length === 0) return [];
  const [tasks, runs] = await Promise.all([lockReadyTasks(client, ids), findRunsOfTasks(client, ids)]);
  const open = tasks.filter((task) => runs.has(task.proofId));
  // What is over meanwhile, or runs: should that start of it fail, it is put into the queue again.
  const over = ids.filter((id) => !open.some((task) => task.id === id));
  await queue.drop(
    client,
    over.map((id) => ({ id, kind })),
  );
  const placed: Start[] = [];
  const homeless: PipelineTask[] = [];
  const able = pool.nodes().filter((node) => node.can.has(kind));
  const failedHere = open.filter(({ notOn }) => able.every((node) => notOn.includes(node.id)));
  const left = await readLeftToOthers(
    client,
    stageId,
    failedHere.map(({ id }) => id),
  );
  for (const task of open) {
    const node = left.has(task.id)
      ? null
      : choosePlace({ kind, lastNode: task.node, notOn: task.notOn }, pool.nodes());
    if (!node) homeless.push(task);
    else
      placed.push({
        task: { ...task, attempt: task.attempt + 1, node: node.id },
        run: runs.get(task.proofId)!,
        node,
      });
    node?.work.add(task.id, kind);
  }
  await requeueTasks(
    client,
    homeless.map(({ id }) => id),
    HOMELESS_MS,
  );
  const back = homeless.map(({ id, proofId }) => ({ id, kind, priority: runs.get(proofId)!.priority }));
  await queue.giveBack(client, back, HOMELESS_MS);
  return placed;
}

function slotsByKind(nodes: readonly ProverNode[]): Map<TaskKind, number> {
  const slots = new Map<TaskKind, number>();
  for (const node of nodes) for (const kind of node.can) slots.set(kind, (slots.get(kind) ?? 0) + node.slots);
  return slots;
}

/** Free slots, and places where a task may wait for one. */
function openPlaces(kind: TaskKind, nodes: readonly ProverNode[]): number {
  return nodes
    .filter((node) => node.isOpen && node.can.has(kind))
    .reduce((sum, node) => sum + Math.max(0, node.slots + node.ahead(kind) - node.running), 0);
}
