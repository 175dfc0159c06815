import type { Logger } from "pino";
import type { Database } from "../../store/database.ts";
import type { NodePool } from "../nodes/nodePool.ts";
import type { ProverNode } from "../nodes/proverNode.ts";
import type { TaskKind } from "../plan/planTasks.ts";
import { choosePlace } from "../schedule/choosePlace.ts";
import { chooseReleases } from "../schedule/chooseReleases.ts";
import type { TaskQueue } from "../schedule/taskQueue.ts";
import { readOpenWork, takeReleases } from "../store/releases.ts";
import { findRun, type PipelineRun } from "../store/runs.ts";
import { findTask, type PipelineTask, startTask } from "../store/tasks.ts";
import type { Liar } from "./findLiar.ts";
import type { RunDriver } from "./runDriver.ts";
import type { TaskCaller, TaskEnd } from "./taskCaller.ts";

export interface Dispatcher extends AsyncDisposable {
  /** Something may start now. */
  wake(): void;
  /** Runs of which tasks run now. */
  runs(): string[];
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

interface RunningTask {
  readonly runId: string;
  readonly abort: AbortController;
  readonly ended: Promise<void>;
}

/** Gives tasks that can start to nodes that have room, and hands what came of them to the driver. */
export function createDispatcher(deps: DispatcherDeps): Dispatcher {
  const running = new Map<string, RunningTask>();
  let isStopping = false;
  let isAwake = false;
  let looking: Promise<void> = Promise.resolve();

  const start = (task: PipelineTask, run: PipelineRun, node: ProverNode): void => {
    const abort = new AbortController();
    node.tasks.add(task.id);
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
        await release(deps);
        for (const kind of ORDER) await claim(deps, kind, start);
      } catch (error) {
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

/** Fills the queue up to what the nodes can soon take. */
async function release({ database, pool, queue }: DispatcherDeps): Promise<void> {
  const slots = slotsByKind(pool.nodes());
  const { runs, queued } = await readOpenWork(database);
  const room = new Map(
    ORDER.map((kind) => [kind, (slots.get(kind) ?? 0) * QUEUED_PER_SLOT - (queued.get(kind) ?? 0)] as const),
  );
  await takeReleases(database, chooseReleases(runs, room), queue.add);
}

async function claim(
  { database, pool, queue }: DispatcherDeps,
  kind: TaskKind,
  start: (task: PipelineTask, run: PipelineRun, node: ProverNode) => void,
): Promise<void> {
  const free = freeSlots(kind, pool.nodes());
  if (free === 0) return;
  for (const id of await queue.claim(kind, free)) {
    const task = await findTask(database, id);
    const run = task && (await findRun(database, task.proofId));
    if (!task || !run || run.finishedAt) continue;
    const node = choosePlace({ kind, lastNode: task.node, notOn: task.notOn }, pool.nodes());
    if (node) start(task, run, node);
    else await queue.giveBack(database, { id, kind, priority: run.priority });
  }
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
    if (!(await startTask(deps.database, task.id, deps.stageId, node.id))) return;
    const end = await deps.caller.call(task, run, node, signal);
    if (end.kind === "lost") deps.pool.rest(node);
    else node.answered();
    await handOver(deps, task, node, end, signal);
  } catch (error) {
    deps.log.error({ task: task.id, reason: (error as Error).message }, "a task's end could not be stored");
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
