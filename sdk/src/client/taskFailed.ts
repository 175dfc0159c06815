import { GevulotError } from "../errors.ts";
import type { Hash } from "../protocol/transaction.ts";
import type { RunStatus, TaskAttempt, TaskFailure } from "../runStatus.ts";

declare module "../errors.ts" {
  interface ErrorContexts {
    /**
     * A task of the Run failed, and no attempt is left. `failure` has the program's own message, exit code or signal,
     * and the last 4 KiB of its console; `attempts` has each try, with its VM's process id and times.
     */
    TASK_FAILED: { run: Hash; step: number; failure: TaskFailure; attempts: readonly TaskAttempt[] };
  }
}

export function taskFailed(status: RunStatus): GevulotError<"TASK_FAILED"> {
  const failedTask = status.tasks.find((task) => task.state === "failed");
  const failure = status.failure ?? failedTask?.failure ?? unexplained(failedTask?.step ?? 0);
  const task =
    status.tasks.find((each) => each.state === "failed" && each.step === failure.step) ?? failedTask;
  const attempts = task?.attempts ?? [];
  const what =
    task === undefined ? `step ${failure.step}` : `step ${task.step} ("${task.programName}", ${task.kind})`;
  const tries = attempts.length > 1 ? ` after ${attempts.length} attempts` : "";
  return new GevulotError("TASK_FAILED", `The run failed in ${what}${tries}: ${failure.message}`, {
    context: { run: status.run, step: failure.step, failure, attempts },
  });
}

function unexplained(step: number): TaskFailure {
  const message = "The node does not say why; its log may.";
  return { code: "LOST", message, step, exitCode: null, signal: null, consoleTail: "" };
}
