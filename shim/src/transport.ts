import type { TaskRequest } from "./task.ts";

/** How a program gets its tasks and hands back its results: VSOCK (protocol section 8), or files (section 9). */
export interface Transport {
  /** Waits until there is a task. @throws GevulotShimError */
  nextTask(): Promise<TaskRequest>;
  /** @returns whether another task follows. @throws GevulotShimError */
  succeed(task: TaskRequest, result: TransportResult): Promise<boolean>;
  /** Says why there is no result; `task` is null before there was one. */
  fail(task: TaskRequest | null, text: string): Promise<void>;
}

export interface TransportResult {
  readonly data: Uint8Array;
  /** Paths inside the virtual machine, checked. */
  readonly files: readonly string[];
}

export type TransportName = "vsock" | "files";
