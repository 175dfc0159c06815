import type { TaskFailure, TaskFailureCode } from "gevulot-sdk";
import type { Task } from "../store/tasks.ts";

/** A failure that no program and no VM had a part in. */
export function taskFailure(task: Task, code: TaskFailureCode, message: string): TaskFailure {
  return { code, message, step: task.step, exitCode: null, signal: null, consoleTail: "" };
}
