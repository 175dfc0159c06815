export { GevulotShimError, type ShimErrorCode } from "./errors.ts";
export { type Program, run } from "./run.ts";
export type { Task, TaskResult } from "./task.ts";
