import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { type Database, isConnectionLoss, type Queryable } from "../../store/database.ts";
import type { NodePool } from "../nodes/nodePool.ts";
import type { ProverNode } from "../nodes/proverNode.ts";
import type { TaskKind } from "../plan/planTasks.ts";
import { choosePlace } from "../schedule/choosePlace.ts";
import { chooseReleases } from "../schedule/chooseReleases.ts";
import type { TaskQueue } from "../schedule/taskQueue.ts";
import { readOpenWork, takeReleases } from "../store/releases.ts";
import { findUnfinishedRuns, type PipelineRun } from "../store/runs.ts";
import { lockReadyTasks, type PipelineTask, startTasks } from "../store/tasks.ts";
import type { Liar } from "./findLiar.ts";
import type { RunDriver } from "./runDriver.ts";
import type { TaskCaller, TaskEnd } from "./taskCaller.ts";

export interface Dispatcher extends AsyncDisposable {
  /** Something may start now. */
  wake(): void;
  /** Runs of which tasks run now. */
  runs(): string[];
  /** Tasks that this stage starts, watches or ends now. */
  held(): string[];
  /** Ends this stage's calls for a run that is over. */
  abortRun(runId: string): void;
}

export interface DispatcherDeps {
  readonly log: Logger;
  readonly database: Database;
  readonly queue: TaskQueue;
  readonly pool: NodePool;
  readonly driver: RunDriver;
  readonly caller: TaskCaller;
  readonly stageId: string;
  /** Whose output made a run fail, where that can be found out. */
  readonly accuse: (runId: string, signal: AbortSignal) => Promise<Liar | null>;
}

/** What lets a run end comes before what begins another. */
const ORDER: readonly TaskKind[] = ["verify", "snark", "agg", "prove", "split", "single"];
/** The queue holds so many tasks for each slot, so that a node never waits for the next release. */
const QUEUED_PER_SLOT = 2;
/** Other stages' changes are seen at the latest after this. */
const LOOK_EVERY_MS = 1_000;
/** An end that can't be stored, as the database is away, is kept and tried again. */
const STORE_AGAIN_MS = 500;

interface RunningTask {
  readonly runId: string;
  readonly abort: AbortController;
  readonly ended: Promise<void>;
}

/** Gives tasks that can start to nodes that have room, and hands what came of them to the driver. */
export function createDispatcher(deps: DispatcherDeps): Dispatcher {
  const running = new Map<string, RunningTask>();
  const starting = new Set<string>();
  let isStopping = false;
  let isAwake = false;
  let looking: Promise<void> = Promise.resolve();

  const start = (task: PipelineTask, run: PipelineRun, node: ProverNode): void => {
    const abort = new AbortController();
    const ended = runTask(deps, task, run, node, abort.signal).finally(() => {
      node.tasks.delete(task.id);
      running.delete(task.id);
      wake();
    });
    running.set(task.id, { runId: run.id, abort, ended });
  };
  const look = async (): Promise<void> => {
    while (isAwake && !isStopping) {
      isAwake = false;
      try {
        const queued = await release(deps);
        for (const kind of ORDER.filter((one) => queued.has(one))) {
          for (const { task, run, node } of await claim(deps, kind, starting)) start(task, run, node);
          starting.clear();
        }
      } catch (error) {
        starting.clear();
        deps.log.warn({ reason: (error as Error).message }, "tasks wait: the database can't be reached");
      }
    }
  };
  const wake = (): void => {
    if (isStopping || isAwake) return;
    isAwake = true;
    looking = looking.then(look);
  };
  const timer = setInterval(wake, LOOK_EVERY_MS);

  return {
    wake,
    runs: () => [...new Set([...running.values()].map((task) => task.runId))],
    held: () => [...starting, ...running.keys()],
    abortRun(runId) {
      for (const task of running.values()) if (task.runId === runId) task.abort.abort();
    },
    async [Symbol.asyncDispose]() {
      isStopping = true;
      clearInterval(timer);
      await looking;
      const tasks = [...running.values()];
      for (const task of tasks) task.abort.abort();
      await Promise.all(tasks.map((task) => task.ended));
    },
  };
}

/** Fills the queue up to what the nodes can soon take. Gives the kinds of which it holds tasks. */
async function release({ database, pool, queue }: DispatcherDeps): Promise<Set<TaskKind>> {
  const slots = slotsByKind(pool.nodes());
  const { runs, queued } = await readOpenWork(database);
  const room = new Map(
    ORDER.map((kind) => [kind, (slots.get(kind) ?? 0) * QUEUED_PER_SLOT - (queued.get(kind) ?? 0)] as const),
  );
  const releases = chooseReleases(runs, room);
  await takeReleases(database, releases, queue.add);
  const held = [...queued].filter(([, count]) => count > 0).map(([kind]) => kind);
  return new Set([...held, ...releases.map(({ kind }) => kind)]);
}

interface Start {
  readonly task: PipelineTask;
  readonly run: PipelineRun;
  readonly node: ProverNode;
}

/** Takes tasks of a kind for the free slots. One commit: after a crash a task is in the queue or at a node, never between. */
async function claim(deps: DispatcherDeps, kind: TaskKind, starting: Set<string>): Promise<Start[]> {
  const free = freeSlots(kind, deps.pool.nodes());
  if (free === 0) return [];
  const placed: Start[] = [];
  try {
    await deps.database.transaction(async (client) => {
      for (const start of await placeClaimed(deps, client, kind, free)) placed.push(start);
      // Before the commit, so that nobody finds them unwatched.
      for (const { task } of placed) starting.add(task.id);
      const places = placed.map(({ task, node }) => ({ id: task.id, node: node.id }));
      await startTasks(client, deps.stageId, places);
    });
    return placed;
  } catch (error) {
    for (const { task, node } of placed) node.tasks.delete(task.id);
    throw error;
  }
}

/** Claims, and gives each task a slot of a node; those that fit none go back. */
async function placeClaimed(
  { pool, queue }: DispatcherDeps,
  client: Queryable,
  kind: TaskKind,
  free: number,
): Promise<Start[]> {
  const ids = await queue.claim(client, kind, free);
  if (ids.length === 0) return [];
  const tasks = await lockReadyTasks(client, ids);
  const runs = await findUnfinishedRuns(client, [...new Set(tasks.map((task) => task.proofId))]);
  const open = tasks.filter((task) => runs.has(task.proofId));
  // What is over meanwhile.
  const over = ids.filter((id) => !open.some((task) => task.id === id));
  await queue.drop(
    client,
    over.map((id) => ({ id, kind })),
  );
  const placed: Start[] = [];
  const homeless: PipelineTask[] = [];
  for (const task of open) {
    const node = choosePlace({ kind, lastNode: task.node, notOn: task.notOn }, pool.nodes());
    if (!node) homeless.push(task);
    else placed.push({ task, run: runs.get(task.proofId)!, node });
    node?.tasks.add(task.id);
  }
  for (const { id, proofId } of homeless) {
    await queue.giveBack(client, { id, kind, priority: runs.get(proofId)!.priority });
  }
  return placed;
}

/** One start of a task at a node, to its end. */
async function runTask(
  deps: DispatcherDeps,
  task: PipelineTask,
  run: PipelineRun,
  node: ProverNode,
  signal: AbortSignal,
): Promise<void> {
  try {
    const end = await deps.caller.call(task, run, node, signal);
    if (end.kind === "lost") deps.pool.rest(node);
    else node.answered();
    await stored(() => handOver(deps, task, node, end, signal), signal);
  } catch (error) {
    deps.log.error({ task: task.id, reason: (error as Error).message }, "a task's end could not be stored");
  }
}

/** A finished task's output is not lost because the database is away. */
async function stored(store: () => Promise<void>, signal: AbortSignal): Promise<void> {
  for (;;) {
    try {
      return await store();
    } catch (error) {
      if (!isConnectionLoss(error) || signal.aborted) throw error;
      await delay(STORE_AGAIN_MS, undefined, { signal });
    }
  }
}

async function handOver(
  { log, driver, accuse }: DispatcherDeps,
  task: PipelineTask,
  node: ProverNode,
  end: TaskEnd,
  signal: AbortSignal,
): Promise<void> {
  if (end.kind === "done") return driver.complete(task, end.output);
  // A cancelled call is of a run that is over, or of a stage that stops: the next start of it takes the task back.
  if (end.kind === "cancelled") return;
  const about = { run: task.proofId, task: task.planned.key, node: node.id, reason: end.reason };
  log.warn(about, `a task ${end.kind}`);
  const liar = isSuspicious(task, end) ? await accuse(task.proofId, signal) : null;
  if (liar) return driver.blame(task, liar.task, liar.reason);
  await driver.setBack(task, { outcome: end.kind, error: end.reason, node: node.id });
}

/** A step that takes others' outputs and fails, the check at once, others where another node failed too. */
function isSuspicious(task: PipelineTask, end: TaskEnd): boolean {
  if (end.kind !== "failed") return false;
  return task.kind === "verify" || ((task.kind === "agg" || task.kind === "snark") && task.failures > 0);
}

function slotsByKind(nodes: readonly ProverNode[]): Map<TaskKind, number> {
  const slots = new Map<TaskKind, number>();
  for (const node of nodes) for (const kind of node.can) slots.set(kind, (slots.get(kind) ?? 0) + node.slots);
  return slots;
}

function freeSlots(kind: TaskKind, nodes: readonly ProverNode[]): number {
  return nodes
    .filter((node) => node.isOpen && node.can.has(kind))
    .reduce((sum, node) => sum + Math.max(0, node.slots - node.running), 0);
}
