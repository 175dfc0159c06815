/** A run of the proving pipeline. */
export interface PipelineRun {
  readonly proofId: string;
  /** `COMPUTING`, `SUCCESS`, or what failed: `SPLIT_ERROR`, `PROVE_ERROR`, `AGG_ERROR`, `SNARK_ERROR`, `INTERNAL_ERROR`. */
  readonly status: string;
  /** Why it failed, and on which nodes. */
  readonly error: string | null;
  /** Null until the split is done. */
  readonly segments: number | null;
  readonly segmentsKnown: number;
  readonly priority: number;
  /** SHA-256 of the proof; of a composite proof the first segment's receipt. */
  readonly resultHash: string | null;
  readonly createdAt: Date;
  readonly finishedAt: Date | null;
}

/** A node of a run's graph. */
export interface PipelineTask {
  readonly id: string;
  /** `split`, `prove/3`, `agg/1/0`, `snark`, `verify`. */
  readonly key: string;
  readonly kind: string;
  readonly state: "waiting" | "ready" | "running" | "done" | "failed";
  /** Where it runs, or ran last. */
  readonly node: string | null;
  /** How long it took, or runs. */
  readonly seconds: number | null;
  readonly failures: number;
  readonly error: string | null;
  /** SHA-256 of what it made, e.g. of a receipt of a composite proof. */
  readonly output: string | null;
}

export interface PipelineRunStatus extends PipelineRun {
  readonly tasks: readonly PipelineTask[];
  /** Until the tasks known so far are done, by how long tasks of their kinds took; null where nothing is known yet. */
  readonly estimateSeconds: number | null;
  /** False where it leaves out kinds of tasks of which nothing is known: it takes at least so long. */
  readonly isEstimateWhole: boolean;
  /** Why tasks that could start don't: a sentence for each kind that no node of the stage can do. */
  readonly unserved: readonly string[];
}

/** As the stage writes it. */
export interface WireRun {
  readonly proof_id: string;
  readonly status: string;
  readonly error: string | null;
  readonly segments: number | null;
  readonly segments_known: number;
  readonly priority: number;
  readonly result_hash: string | null;
  readonly created_at: string;
  readonly finished_at: string | null;
  readonly tasks?: readonly PipelineTask[];
  readonly estimate_seconds?: number | null;
  readonly is_estimate_whole?: boolean;
  readonly unserved?: readonly string[];
}

export function toPipelineRun(run: WireRun): PipelineRun {
  return {
    proofId: run.proof_id,
    status: run.status,
    error: run.error,
    segments: run.segments,
    segmentsKnown: run.segments_known,
    priority: run.priority,
    resultHash: run.result_hash,
    createdAt: new Date(run.created_at),
    finishedAt: run.finished_at === null ? null : new Date(run.finished_at),
  };
}

export function toRunStatus(run: WireRun): PipelineRunStatus {
  return {
    ...toPipelineRun(run),
    tasks: run.tasks ?? [],
    estimateSeconds: run.estimate_seconds ?? null,
    isEstimateWhole: run.is_estimate_whole ?? false,
    unserved: run.unserved ?? [],
  };
}
