import { setTimeout as delay } from "node:timers/promises";
import { isConnectionLoss } from "../store/database.ts";
import { failTask, type Task } from "../store/tasks.ts";
import type { AttemptOptions } from "./attempt.ts";
import { createGpuPool } from "./gpuPool.ts";
import { addResources, NO_RESOURCES, type ResourceAmount } from "./resources.ts";
import { type RunTaskDeps, runTask } from "./runTask.ts";
import { taskFailure } from "./taskFailure.ts";

/** The tasks that run now, and what they hold of the machine. */
export interface RunningTasks {
  has(id: string): boolean;
  used(): ResourceAmount;
  /** `release` is called at the end. */
  start(task: Task, wanted: ResourceAmount, release?: () => Promise<void>): void;
  ids(): ReadonlySet<string>;
  /** Stops the VMs of a Run. */
  cancelRun(run: string): void;
  /** Resolves when none runs any more. */
  ended(): Promise<void>;
}

export interface RunningTasksOptions extends AttemptOptions {
  readonly gpuDevices: readonly string[];
  /** The node stops: tasks are given back. */
  readonly stop: AbortSignal;
  readonly onEnd: () => void;
}

interface Running {
  readonly run: string;
  readonly resources: ResourceAmount;
  readonly cancel: AbortController;
  readonly done: Promise<void>;
}

const GIVEN_UP_PAUSE_MS = 1_000;

export function createRunningTasks(deps: RunTaskDeps, options: RunningTasksOptions): RunningTasks {
  const { stop, onEnd } = options;
  const running = new Map<string, Running>();
  const gpus = createGpuPool(options.gpuDevices);
  return {
    has: (id) => running.has(id),
    used: () => [...running.values()].reduce((sum, each) => addResources(sum, each.resources), NO_RESOURCES),
    start(task, wanted, release = async () => {}) {
      deps.log.debug({ task: task.id, run: task.run }, "task admitted");
      const cancel = new AbortController();
      const gpuDevices = gpus.take(wanted.gpus);
      const signals = { cancel: cancel.signal, stop };
      const done = runTask(deps, options, task, { ...wanted, gpuDevices }, signals)
        .catch(async (error: unknown) => {
          if (stop.aborted) return;
          await giveUp(deps, task, error);
          // Whatever it was, it may still be there: not at once again.
          await delay(GIVEN_UP_PAUSE_MS, undefined, { signal: stop }).catch(() => {});
        })
        .finally(async () => {
          await release().catch((error: unknown) => deps.log.error({ err: error }, "a share was not freed"));
          running.delete(task.id);
          gpus.giveBack(gpuDevices);
          onEnd();
        });
      running.set(task.id, { run: task.run, resources: wanted, cancel, done });
    },
    ids: () => new Set(running.keys()),
    cancelRun(run) {
      for (const each of running.values()) if (each.run === run) each.cancel.abort();
    },
    ended: async () => {
      await Promise.all([...running.values()].map(({ done }) => done));
    },
  };
}

/** A task that our own failure ended must neither hang nor be begun again and again. */
async function giveUp(deps: RunTaskDeps, task: Task, error: unknown): Promise<void> {
  const { log, database } = deps;
  log.error({ err: error, task: task.id }, "a task was given up");
  if (isConnectionLoss(error)) return;
  const failure = taskFailure(task, "NODE_ERROR", `The node could not run the task: ${error}`);
  await failTask(database, task.id, failure).then(
    () => deps.onRunChanged?.(task.run),
    (reason: unknown) => log.error({ err: reason, task: task.id }, "the end of a task was not stored"),
  );
}
