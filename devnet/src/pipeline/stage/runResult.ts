import type { Queryable } from "../../store/database.ts";
import { STEP } from "../admit/proofRequest.ts";
import { resultKey } from "../plan/planTasks.ts";
import { findRun, type PipelineRun, type RunEnd } from "../store/runs.ts";
import { RUN_STATUS } from "../store/statuses.ts";
import { readOutputHash } from "../store/tasks.ts";

/** Places the finished proof where its URL points, and gives it as text where it is text. */
export type Publish = (run: PipelineRun, output: string) => Promise<string | undefined>;

/** Places what a run comes to, all of whose tasks are done. Null where the run is over already, or gone. */
export async function publishResult(
  client: Queryable,
  publish: Publish,
  runId: string,
): Promise<RunEnd | null> {
  const run = await findRun(client, runId);
  if (!run || run.finishedAt !== null) return null;
  const key = resultKey(run.shape, run.segments);
  const resultHash = key === null ? null : await readOutputHash(client, runId, key);
  const result = resultHash === null ? undefined : await publish(run, resultHash);
  return {
    status: RUN_STATUS.SUCCESS,
    // The existing service: a wrapped run ends at step 5, others at 6.
    step: run.shape.target === "snark" ? STEP.Snark : STEP.End,
    ...(resultHash !== null && { resultHash }),
    ...(result !== undefined && { result }),
  };
}
