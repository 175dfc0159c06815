import type { TaskFailure } from "gevulot-sdk";
import type { ProgramMetadata } from "gevulot-sdk/protocol";
import { deployedVolumes } from "../image/deployedVolumes.ts";
import type { VolumeMount } from "../image/manifestMounts.ts";
import { isConnectionLoss } from "../store/database.ts";
import { readProgram } from "../store/readTransactions.ts";
import { failTask, readQueuedTasks, setWaitsFor, type Task } from "../store/tasks.ts";
import type { AttemptOptions } from "./attempt.ts";
import type { MachineShare } from "./machineShare.ts";
import { recoverTasks } from "./recover.ts";
import { type Capacity, neverFits, type ResourceAmount, type Waiting } from "./resources.ts";
import { createRunningTasks } from "./runningTasks.ts";
import type { RunTaskDeps } from "./runTask.ts";
import { startWithTurns } from "./startWithTurns.ts";
import { taskFailure } from "./taskFailure.ts";
import { createWakeableLoop } from "./wakeableLoop.ts";

export interface Scheduler extends AsyncDisposable {
  /** Looks at the queue again: a task was added, or a Run cancelled. */
  wake(): void;
  /** Stops the VMs of a Run; the Cancel's commit has failed its tasks. */
  cancelRun(run: string): void;
  /** What the running tasks hold of the machine. */
  used(): ResourceAmount;
  /** How many tasks run. */
  running(): number;
  /** Programs were deployed: their first tasks need not wait for what can be done now. */
  prepare(programs: readonly Pick<ProgramMetadata, "hash" | "imageFileName">[]): void;
}

export interface SchedulerOptions extends AttemptOptions {
  readonly capacity: Capacity;
  /** PCI addresses; as many as `capacity.gpus`. */
  readonly gpuDevices: readonly string[];
  /** Shared with other nodes of this machine. */
  readonly machine?: MachineShare | undefined;
}

/** How many waiting tasks are looked at in one round. */
const QUEUE_WINDOW = 100;
/** Overtaking ends by time, so a queue is looked at now and then even when nothing happens. */
const ROUND_MS = 1_000;
/** Without one, whoever stores a task wakes the scheduler; this is for what nobody told. */
const IDLE_ROUND_MS = 60_000;

/** Starts queued tasks as the machine's resources allow, until it is disposed of. */
export function createScheduler(deps: RunTaskDeps, options: SchedulerOptions): Scheduler {
  const { log, database } = deps;
  const stop = new AbortController();
  const running = createRunningTasks(deps, { ...options, stop: stop.signal, onEnd: () => loop.wake() });

  let isIdle = false;
  const round = async (): Promise<void> => {
    isIdle = false;
    // Looked at before the database: a task that ends meanwhile is not lost.
    const known = running.ids();
    await recoverTasks(deps, (id) => known.has(id));
    const queued = (await readQueuedTasks(database, QUEUE_WINDOW)).filter((task) => !running.has(task.id));
    const fitting = await dropUnfit(deps, options.capacity, queued);
    let hasStarted = false;
    const waits = await startWithTurns(fitting, {
      capacity: options.capacity,
      used: running.used,
      takeTurn: async ({ id, imagePath, volumes }) =>
        (await deps.provider.takeTurn?.({ id, imagePath, volumes })) ?? (() => {}),
      async start({ task, wanted }, giveBack) {
        const share = await options.machine?.take(wanted);
        if (typeof share === "string") return share;
        hasStarted = true;
        running.start(task, wanted, async () => {
          giveBack();
          await share?.release();
        });
        return null;
      },
    });
    for (const [id, reason] of waits) await setWaitsFor(database, id, reason);
    isIdle = fitting.length === 0;
    // The next ones of the same programs may come into the window.
    if (hasStarted) loop.wake();
  };

  const loop = createWakeableLoop(
    () =>
      round().catch((error: unknown) => {
        if (isConnectionLoss(error)) log.warn("the database is away; the queue waits for it");
        else log.error({ err: error }, "a round of the scheduler failed");
      }),
    { intervalMs: () => (isIdle ? IDLE_ROUND_MS : ROUND_MS), signal: stop.signal },
  );

  return {
    wake: loop.wake,
    used: running.used,
    running: () => running.ids().size,
    prepare(programs) {
      const { provider, layout } = deps;
      for (const { hash, imageFileName } of programs) {
        void provider.prepare?.(layout.imagePath(hash, imageFileName));
      }
    },
    cancelRun: running.cancelRun,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await loop.ended;
      await running.ended();
    },
  };
}

interface WantingTask extends Waiting {
  readonly task: Task;
  readonly imagePath: string;
  readonly volumes: readonly VolumeMount[];
}

/** Fails the tasks that can never run here, and gives the others with what they ask for. */
async function dropUnfit(
  deps: RunTaskDeps,
  capacity: Capacity,
  queued: readonly Task[],
): Promise<WantingTask[]> {
  const fitting: WantingTask[] = [];
  for (const task of queued) {
    const wants = await wantedBy(deps, task);
    const never = neverFits(capacity, wants.wanted);
    if (never === null)
      fitting.push({ id: task.id, waitedMs: Date.now() - task.queuedAt.getTime(), task, ...wants });
    else {
      await failTask(deps.database, task.id, cannotFit(task, never));
      deps.onRunChanged?.(task.run);
    }
  }
  return fitting;
}

async function wantedBy(
  deps: RunTaskDeps,
  task: Task,
): Promise<Omit<WantingTask, "id" | "waitedMs" | "task">> {
  const program = await readProgram(deps.database, task.program);
  if (!program?.resources) throw new Error(`program ${task.program} has no resources`);
  const { memMib, cpus, gpus } = program.resources;
  return {
    imagePath: deps.layout.imagePath(program.hash, program.imageFileName),
    volumes: deployedVolumes(program.imageFileUrl).volumes,
    // Beyond 2^53 nothing fits anyway.
    wanted: { memMib: Number(memMib), cpus: Number(cpus), gpus: Number(gpus) },
  };
}

function cannotFit(task: Task, reason: string): TaskFailure {
  const advice = reason.includes(" no ")
    ? "Deploy it with some."
    : "Deploy it with less, or use a larger node.";
  return taskFailure(task, "CANNOT_FIT", `The program can never run on this node: ${reason}. ${advice}`);
}
