import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { isPassing, isUnreachable } from "../../store/database.ts";
import type { ProverNode } from "../nodes/proverNode.ts";
import type { PipelineTask } from "../store/tasks.ts";
import { type ClaimDeps, claimTasks, releaseTasks, type Start } from "./claimTasks.ts";
import type { Liar } from "./findLiar.ts";
import type { RunDriver } from "./runDriver.ts";
import type { TaskCaller, TaskEnd } from "./taskCaller.ts";

export interface Dispatcher extends AsyncDisposable {
  /** Something may start now. */
  wake(): void;
  /** Nothing is there that could start: nobody looks until something wakes. */
  rest(): void;
  /** Tasks that this stage starts, watches or ends now. */
  held(): string[];
  /** Ends this stage's calls for tasks that nobody wants any more. */
  abort(taskIds: readonly string[]): void;
}

export interface DispatcherDeps extends ClaimDeps {
  readonly log: Logger;
  readonly driver: RunDriver;
  readonly caller: TaskCaller;
  /** Whose output made a run fail, where that can be found out. */
  readonly accuse: (failed: PipelineTask, signal: AbortSignal) => Promise<Liar | null>;
  /** What a database that answers refuses for so long it counts as refusing each time; default 10 minutes. */
  readonly longestTroubleMs?: number;
}

/** While tasks can start: some wait for a while first, and others' nodes leave room. */
const LOOK_EVERY_MS = 1_000;
/** An end that can't be stored, as the database is away, is kept and tried again. */
const STORE_AGAIN_MS = 500;

const LONGEST_TROUBLE_MS = 600_000;

/** A node that was lost, or has no room, gets nothing for a while, at most so long. */
const LONGEST_REST_MS = { lost: 60_000, busy: 5_000 } as const;

/** Nodes wait rather than that more answers than this wait for the database. */
const MAX_UNSTORED = 64;

const MAX_REASON_CHARS = 4_096;

interface RunningTask {
  readonly node: ProverNode;
  readonly abort: AbortController;
  readonly ended: Promise<void>;
}

/** Gives tasks that can start to nodes that have room, and hands what came of them to the driver. */
export function createDispatcher(given: DispatcherDeps): Dispatcher {
  const deps = { ...given, caller: createPatientCaller(given) };
  const running = new Map<string, RunningTask>();
  const starting = new Set<string>();
  let isStopping = false;
  let isAwake = false;
  let isResting = false;
  let looking: Promise<void> = Promise.resolve();

  const start = ({ task, run, node }: Start): void => {
    const abort = new AbortController();
    const own: RunningTask = {
      node,
      abort,
      ended: runTask(deps, { task, run, node }, wake, abort.signal).finally(() => {
        // A later start of it may be here already.
        if (running.get(task.id) === own) running.delete(task.id);
        wake();
      }),
    };
    running.set(task.id, own);
  };
  const look = async (): Promise<void> => {
    while (isAwake && !isStopping) {
      isAwake = false;
      try {
        const atNodes = deps.pool.nodes().reduce((sum, node) => sum + node.work.count, 0);
        // The end of one of them wakes again.
        if (running.size - atNodes > MAX_UNSTORED) continue;
        for (const kind of await releaseTasks(deps)) {
          for (const one of await claimTasks(deps, kind, starting)) start(one);
          starting.clear();
        }
      } catch (error) {
        starting.clear();
        const { message: reason } = error as Error;
        deps.log.warn({ reason }, "tasks wait: none could be started; trying again");
      }
    }
  };
  const wake = (): void => {
    isResting = false;
    if (isStopping || isAwake) return;
    isAwake = true;
    looking = looking.then(look);
  };
  const timer = setInterval(() => {
    if (!isResting) wake();
  }, LOOK_EVERY_MS);

  return {
    wake,
    rest() {
      isResting = true;
    },
    held: () => [...starting, ...running.keys()],
    abort(taskIds) {
      for (const id of taskIds) stopTask(id, running.get(id));
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

function stopTask(id: string, task: RunningTask | undefined): void {
  task?.abort.abort();
  // A call that broke may come again; this one won't, so the node need not wait for it.
  void task?.ended.then(() => task.node.client?.stop([id]));
}

/** One start of a task at a node, to its end. */
async function runTask(
  deps: DispatcherDeps,
  { task, run, node }: Start,
  onRoom: () => void,
  signal: AbortSignal,
): Promise<void> {
  const patience = createPatience(deps.longestTroubleMs);
  try {
    const said = await deps.caller.call(task, run, node, signal);
    if (said.kind === "lost" || said.kind === "busy") deps.pool.rest(node, LONGEST_REST_MS[said.kind]);
    else node.answered();
    const isDone = said.kind === "done";
    if (!node.isRegistered) {
      return await stored(() => handOver(deps, task, node, said, null, signal), patience, signal);
    }
    // It kept the answer, and gives it again should this process end now: so it gets the next task at once.
    const ranMs = node.work.remove(task.id, isDone);
    onRoom();
    const end = said.kind === "late" && ranMs === null ? IN_VAIN : said;
    await stored(() => handOver(deps, task, node, end, ranMs, signal), patience, signal);
  } catch (error) {
    const { message } = error as Error;
    deps.log.error({ task: task.id, reason: message }, "a task's end could not be stored");
    // What the database refuses once, or for long, it refuses each time.
    const setback = { outcome: "failed", error: told(message), node: node.id } as const;
    if (!signal.aborted) await deps.driver.setBack(task, setback).catch(() => {});
  } finally {
    node.work.remove(task.id, false);
  }
}

/** What goes wrong on this side is an end too: what it was is in the run's status, and does not repeat for ever. */
function createPatientCaller({ caller, longestTroubleMs }: DispatcherDeps): TaskCaller {
  /** Over the starts of a task. */
  const patience = new Map<string, Patience>();
  return {
    async call(task, run, node, signal) {
      const mayPass = patience.get(task.id) ?? createPatience(longestTroubleMs);
      patience.delete(task.id);
      try {
        return await caller.call(task, run, node, signal);
      } catch (error) {
        const { message: reason } = error as Error;
        if (signal.aborted) return { kind: "cancelled" };
        if (!mayPass(error)) return { kind: "failed", reason };
        patience.set(task.id, mayPass);
        return { kind: "unwatched", reason };
      }
    },
  };
}

/** Whether an error may still pass. */
type Patience = (error: unknown) => boolean;

/** A server that is away comes back; what one that answers can't do for long, e.g. in a statement's time, it never can. */
function createPatience(longestMs = LONGEST_TROUBLE_MS): Patience {
  let since: number | null = null;
  return (error) => {
    if (!isPassing(error)) return false;
    since = isUnreachable(error) ? null : (since ?? Date.now());
    return since === null || Date.now() - since < longestMs;
  };
}

/** The node did not even begin with it: what ran there before took too long. */
const IN_VAIN: TaskEnd = { kind: "busy", reason: "it waited at the node in vain" };

/** A finished task's output is not lost because the database is away, or others' locks are in the way. */
async function stored(store: () => Promise<void>, mayPass: Patience, signal: AbortSignal): Promise<void> {
  for (;;) {
    try {
      return await store();
    } catch (error) {
      if (!mayPass(error) || signal.aborted) throw error;
      await delay(STORE_AGAIN_MS, undefined, { signal });
    }
  }
}

async function handOver(
  { log, driver, accuse }: DispatcherDeps,
  task: PipelineTask,
  node: ProverNode,
  end: TaskEnd,
  ranMs: number | null,
  signal: AbortSignal,
): Promise<void> {
  if (end.kind === "done") return driver.complete(task, end.output, ranMs);
  // A cancelled call is of a run that is over, or of a stage that stops: the next start of it takes the task back.
  if (end.kind === "cancelled") return;
  const about = { run: task.proofId, task: task.planned.key, node: node.id, reason: end.reason };
  log.warn(about, `a task ${end.kind}`);
  const liar = isSuspicious(task, end)
    ? await accuse(task, signal).catch((error: Error) => {
        // Without a check that runs nobody can be accused.
        if (isPassing(error)) throw error;
        log.warn({ ...about, reason: error.message }, "who made the wrong output can't be found out");
        return null;
      })
    : null;
  if (liar) return driver.blame(task, liar.task, told(liar.reason));
  await driver.setBack(task, { outcome: end.kind, error: told(end.reason), node: node.id });
}

/** Others' words, as they are kept: PostgreSQL's text holds no NUL. */
function told(reason: string): string {
  return reason.replaceAll("\0", " ").slice(0, MAX_REASON_CHARS);
}

/** A step that takes others' outputs and fails, the check at once, others where another node failed too. */
function isSuspicious(task: PipelineTask, end: TaskEnd): boolean {
  if (end.kind !== "failed") return false;
  return task.kind === "verify" || ((task.kind === "agg" || task.kind === "snark") && task.failures > 0);
}
