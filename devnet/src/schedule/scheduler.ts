import { setTimeout as delay } from "node:timers/promises";
import type { TaskFailure } from "gevulot-sdk";
import { isConnectionLoss } from "../store/database.ts";
import { readProgram } from "../store/readTransactions.ts";
import { failTask, readOpenTasks, readQueuedTasks, setWaitsFor, type Task } from "../store/tasks.ts";
import { createGpuPool } from "./gpuPool.ts";
import {
  addResources,
  admit,
  type Capacity,
  NO_RESOURCES,
  neverFits,
  type ResourceAmount,
} from "./resources.ts";
import { type RunTaskDeps, type RunTaskOptions, runTask } from "./runTask.ts";

export interface Scheduler extends AsyncDisposable {
  /** Looks at the queue again: a task was added, or a Run cancelled. */
  wake(): void;
  /** Fails the open tasks of a Run and stops their VMs. */
  cancelRun(run: string): Promise<void>;
}

export interface SchedulerOptions extends RunTaskOptions {
  readonly capacity: Capacity;
  /** PCI addresses; as many as `capacity.gpus`. */
  readonly gpuDevices: readonly string[];
}

interface Running {
  readonly task: Task;
  readonly resources: ResourceAmount;
  readonly cancel: AbortController;
  readonly done: Promise<void>;
}

/** How many waiting tasks are looked at in one round. */
const QUEUE_WINDOW = 100;
/** Overtaking ends by time, so the queue is looked at now and then even when nothing happens. */
const ROUND_MS = 1_000;

/** Starts queued tasks as the machine's resources allow, until it is disposed of. */
export function createScheduler(deps: RunTaskDeps, options: SchedulerOptions): Scheduler {
  const { log, database } = deps;
  const running = new Map<string, Running>();
  const stop = new AbortController();
  const gpus = createGpuPool(options.gpuDevices);
  let wakeUp = () => {};
  const wake = (): void => wakeUp();

  /** A task that our own failure ended must neither hang nor be begun again and again. */
  const giveUp = async (task: Task, error: unknown): Promise<void> => {
    if (stop.signal.aborted) return;
    log.error({ err: error, task: task.id }, "a task was given up");
    if (isConnectionLoss(error)) return;
    await failTask(database, task.id, nodeError(task, error)).catch((reason: unknown) => {
      log.error({ err: reason, task: task.id }, "the end of a task was not stored");
    });
  };

  const start = (task: Task, wanted: ResourceAmount): void => {
    const cancel = new AbortController();
    const gpuDevices = gpus.take(wanted.gpus);
    const done = runTask(
      deps,
      options,
      task,
      { ...wanted, gpuDevices },
      { cancel: cancel.signal, stop: stop.signal },
    )
      .catch((error: unknown) => giveUp(task, error))
      .finally(() => {
        running.delete(task.id);
        gpus.giveBack(gpuDevices);
        wake();
      });
    running.set(task.id, { task, resources: wanted, cancel, done });
  };

  const round = async (): Promise<void> => {
    const queued = (await readQueuedTasks(database, QUEUE_WINDOW)).filter((task) => !running.has(task.id));
    const fitting: { task: Task; wanted: ResourceAmount }[] = [];
    for (const task of queued) {
      const wanted = await wantedBy(deps, task);
      const never = neverFits(options.capacity, wanted);
      if (never === null) fitting.push({ task, wanted });
      else await failTask(database, task.id, cannotFit(task, never));
    }
    const used = [...running.values()].reduce(
      (sum, { resources }) => addResources(sum, resources),
      NO_RESOURCES,
    );
    const now = Date.now();
    const waiting = fitting.map(({ task, wanted }) => ({
      id: task.id,
      wanted,
      waitedMs: now - task.queuedAt.getTime(),
    }));
    const admission = admit(options.capacity, used, waiting);
    for (const { task, wanted } of fitting) if (admission.start.includes(task.id)) start(task, wanted);
    for (const [id, reason] of admission.wait) await setWaitsFor(database, id, reason);
  };

  const loop = (async () => {
    while (!stop.signal.aborted) {
      const woken = new Promise<void>((resolve) => {
        wakeUp = resolve;
      });
      await round().catch((error: unknown) => {
        if (stop.signal.aborted) return;
        if (isConnectionLoss(error))
          log.warn("the database is away; the queue is looked at again when it is back");
        else log.error({ err: error }, "a round of the scheduler failed");
      });
      const timer = new AbortController();
      const signal = AbortSignal.any([timer.signal, stop.signal]);
      await Promise.race([woken, delay(ROUND_MS, undefined, { signal }).catch(() => {})]);
      timer.abort();
    }
  })();

  return {
    wake,
    async cancelRun(run) {
      for (const task of await readOpenTasks(database, run)) {
        const under = running.get(task.id);
        if (under) under.cancel.abort();
        else await failTask(database, task.id, cancelled(task));
      }
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      wakeUp();
      await loop;
      await Promise.all([...running.values()].map(({ done }) => done));
    },
  };
}

async function wantedBy(deps: RunTaskDeps, task: Task): Promise<ResourceAmount> {
  const resources = (await readProgram(deps.database, task.program))?.resources;
  if (!resources) throw new Error(`program ${task.program} has no resources`);
  // Beyond 2^53 nothing fits anyway.
  return { memMib: Number(resources.memMib), cpus: Number(resources.cpus), gpus: Number(resources.gpus) };
}

function cannotFit(task: Task, reason: string): TaskFailure {
  const message = `The program can never run on this node: ${reason}. Deploy it with less, or use a larger node.`;
  return { code: "CANNOT_FIT", message, step: task.step, exitCode: null, signal: null, consoleTail: "" };
}

function nodeError(task: Task, error: unknown): TaskFailure {
  const message = `The node could not run the task: ${error instanceof Error ? error.message : String(error)}`;
  return { code: "NODE_ERROR", message, step: task.step, exitCode: null, signal: null, consoleTail: "" };
}

function cancelled(task: Task): TaskFailure {
  const message = "The Run was cancelled by its author.";
  return { code: "CANCELLED", message, step: task.step, exitCode: null, signal: null, consoleTail: "" };
}
