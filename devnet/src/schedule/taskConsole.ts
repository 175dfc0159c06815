import { join } from "node:path";
import type { FindConsole } from "../events/consoleEvents.ts";
import type { Database } from "../store/database.ts";
import { readTask, type Task } from "../store/tasks.ts";

/**
 * `<log dir>/<tx>/stdout.log`, where tx is what started the task: the Run, or the Proof that it verifies. Of a Run's
 * further provers, which may run beside the first, `stdout.<step>.log`.
 */
export function consolePathOf(logDirectory: string, task: Pick<Task, "run" | "step" | "proof">): string {
  const name = task.proof === null && task.step > 0 ? `stdout.${task.step}.log` : "stdout.log";
  return join(logDirectory, task.proof ?? task.run, name);
}

/** Finds the consoles of this node's tasks. */
export function createConsoleFinder(database: Database, logDirectory: string): FindConsole {
  return async (id) => {
    const task = await readTask(database, id);
    if (task === null) return null;
    return {
      path: consolePathOf(logDirectory, task),
      attempt: task.attempts,
      hasEnded: task.state === "done" || task.state === "failed",
    };
  };
}
