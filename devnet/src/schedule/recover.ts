import { mkdtemp, rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Logger } from "pino";
import type { FileLayout } from "../files/layout.ts";
import type { Metrics } from "../observe/metrics.ts";
import { removeTree } from "../removeTree.ts";
import type { Database } from "../store/database.ts";
import { endAttempt, failTask, readRunningTasks, requeueTask, type Task } from "../store/tasks.ts";
import { taskFailure } from "./taskFailure.ts";

/** A task is begun anew after the node died, this often in all. */
export const MAX_ATTEMPTS = 3;

export interface RecoverDeps {
  readonly log: Logger;
  readonly database: Database;
  readonly metrics?: Pick<Metrics, "taskRequeued">;
}

/**
 * Takes up tasks that are noted as running and don't: they go back to the queue while attempts are left, else they
 * fail. What left them is a node that was killed, or a reply of the database that was lost. Their VMs must be gone.
 */
export async function recoverTasks(deps: RecoverDeps, isRunning: (id: string) => boolean): Promise<void> {
  for (const task of await readRunningTasks(deps.database)) {
    if (!isRunning(task.id)) await recoverTask(deps, task);
  }
}

async function recoverTask({ log, database, metrics }: RecoverDeps, task: Task): Promise<void> {
  const again = task.attempts < MAX_ATTEMPTS;
  const text = again
    ? "The node went away while the task ran."
    : `The node went away in each of ${MAX_ATTEMPTS} attempts.`;
  const failure = taskFailure(task, "LOST", text);
  await database.transaction(async (client) => {
    await endAttempt(client, task.id, task.attempts, failure, "");
    await (again ? requeueTask(client, task.id) : failTask(client, task.id, failure));
  });
  if (again) metrics?.taskRequeued();
  log.warn({ task: task.id, run: task.run, attempts: task.attempts, again }, "a task was lost with its node");
}

/**
 * Clears the workspaces that a killed node left. What programs made there must not hold up a start: the folder is
 * moved aside at once, and removed while the node runs.
 */
export async function clearWorkspaces(deps: { log: Logger; layout: FileLayout }): Promise<void> {
  const { attemptsDir } = deps.layout;
  const trash = await mkdtemp(join(dirname(attemptsDir), "trash-"));
  await rename(attemptsDir, join(trash, "vmfiles")).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
  removeTree(trash).catch((error: Error) => {
    deps.log.warn({ trash, reason: error.message }, "old workspaces were not removed");
  });
}
