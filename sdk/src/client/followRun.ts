import type { SentRun } from "../actions/run.ts";
import type { ClientContext } from "../context/context.ts";
import type { RunStatus } from "../runStatus.ts";
import { createProgressReader } from "./runProgress.ts";
import { type RunResult, readRunResult } from "./runResult.ts";
import { waitForRun } from "./waitForRun.ts";

export interface AwaitResultOptions {
  readonly minVerifications: number;
  readonly timeoutMs: number;
  readonly unreachableMs: number;
  readonly signal?: AbortSignal | undefined;
  readonly onStatus?: ((status: RunStatus) => void) | undefined;
}

/** See `RunHandle.result`. */
export async function awaitResult(
  context: ClientContext,
  run: SentRun,
  options: AwaitResultOptions,
): Promise<RunResult> {
  const reader = createProgressReader(context, run, options);
  const complete = await waitForRun(reader, run.hash, options);
  return readRunResult(context, run.hash, complete, options);
}
