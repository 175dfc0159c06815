export { GevulotShimError, type ShimErrorCode } from "./errors.ts";
export { type ExecOptions, exec } from "./exec.ts";
export { type Program, run } from "./run.ts";
export type { Task, TaskResult } from "./task.ts";
