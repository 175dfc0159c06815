import { rm } from "node:fs/promises";
import type { Logger } from "pino";
import type { FileLayout } from "../files/layout.ts";
import type { Database } from "../store/database.ts";
import { endAttempt, failTask, readRunningTasks, requeueTask } from "../store/tasks.ts";
import { taskFailure } from "./taskFailure.ts";

/** A task is begun anew after the node died, this often in all. */
export const MAX_ATTEMPTS = 3;

/**
 * Takes up what a node that was killed left behind: its running tasks go back to the queue while attempts are left,
 * else they fail, and their workspaces are removed. Its VMs must be gone already.
 */
export async function recoverTasks(deps: {
  log: Logger;
  database: Database;
  layout: FileLayout;
}): Promise<void> {
  const { log, database, layout } = deps;
  for (const task of await readRunningTasks(database)) {
    const again = task.attempts < MAX_ATTEMPTS;
    const text = again
      ? "The node went away while the task ran."
      : `The node went away in each of ${MAX_ATTEMPTS} attempts.`;
    const failure = taskFailure(task, "LOST", text);
    await database.transaction(async (client) => {
      await endAttempt(client, task.id, task.attempts, failure, "");
      await (again ? requeueTask(client, task.id) : failTask(client, task.id, failure));
    });
    log.warn(
      { task: task.id, run: task.run, attempts: task.attempts, again },
      "a task was lost with its node",
    );
  }
  await rm(layout.attemptsDir, { recursive: true, force: true });
}
