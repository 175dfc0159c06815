import { dirname } from "node:path";
import { STEP } from "../admit/proofRequest.ts";
import type { TaskMethod } from "../nodes/nodeClient.ts";
import type { TaskKind } from "../plan/planTasks.ts";
import { runFolder } from "../runFolder.ts";
import type { PipelineRun } from "../store/runs.ts";
import type { PipelineTask } from "../store/tasks.ts";
import type { WireTaskResponse } from "../wire/messages.ts";

/** A task's inputs, read. */
export interface TaskInput {
  /** The `computed_request_id` of the task that made it; empty for what came with the request. */
  readonly taskId: string;
  readonly bytes: Uint8Array;
  readonly isAggregate: boolean;
}

export interface TaskData {
  readonly inputs: readonly TaskInput[];
  /** Receipts of other runs that came with the request; only of tasks that take them. */
  readonly receipts: readonly Uint8Array[];
  /** zkm2: `vk.bin` of the split. */
  readonly verifyingKey: Uint8Array;
}

/** Kinds that the contract has a method for; what verifies runs at the stage. */
export type CallKind = Exclude<TaskKind, "verify">;

export const METHODS: Readonly<Record<CallKind, TaskMethod>> = {
  split: "SplitElf",
  prove: "Prove",
  agg: "Aggregate",
  snark: "SnarkProof",
  single: "SingleNode",
};

/** The request of `prover.v1.ProverService` for a task. */
export function taskRequest(kind: CallKind, task: PipelineTask, run: PipelineRun, data: TaskData): object {
  const { context } = run;
  const ids = { proof_id: run.id, computed_request_id: task.id };
  const block = context.block_no === null ? {} : { block_no: context.block_no };
  switch (kind) {
    case "split":
      return {
        ...ids,
        ...block,
        base_dir: folderOf(run).root,
        elf_path: context.elf_path,
        seg_path: context.seg_path,
        seg_size: context.seg_size,
        args: "",
        public_input_path: context.public_input_path,
        private_input_path: context.private_input_path,
        output_path: context.output_stream_path,
        receipt_inputs_path: context.receipt_inputs_path,
        program_id: context.program_id,
      };
    case "prove":
      return {
        ...ids,
        ...block,
        program_id: context.program_id,
        segment: segmentPath(run, task),
        seg_size: context.seg_size,
        elf_path: context.elf_path,
        receipts_input: data.receipts,
        index: task.planned.index,
      };
    case "agg":
      return { ...ids, ...block, ...aggregateFields(task, run, data) };
    case "snark":
      return {
        ...ids,
        version: run.shape.version === "zkm" ? 0 : 1,
        agg_receipt: data.inputs[0]!.bytes,
        from_input: run.shape.fromAgg,
      };
    case "single":
      return {
        ...ids,
        base_dir: folderOf(run).root,
        elf_path: context.elf_path,
        private_input_path: context.private_input_path,
        receipt_inputs_path: context.receipt_inputs_path,
        program_id: context.program_id,
        target_step: STEP[context.target_step as keyof typeof STEP],
        seg_size: context.seg_size,
      };
  }
}

export function segmentPath(run: PipelineRun, task: PipelineTask): string {
  return folderOf(run).segment(task.planned.index);
}

export function folderOf(run: Pick<PipelineRun, "context">): ReturnType<typeof runFolder> {
  const { seg_path: segments, block_no: blockNo } = run.context;
  // Its base_dir is another folder in a run that an earlier release began.
  return runFolder(dirname(segments), blockNo ?? undefined);
}

/** Begun by a release that gave proves what came as `receipts`, and made a leaf of each. */
export function isOfEarlierRelease(run: Pick<PipelineRun, "context">): boolean {
  return run.context.base_dir !== folderOf(run).root;
}

/** What the method's own field holds. */
export function outputOf(kind: CallKind, response: WireTaskResponse): Uint8Array {
  if (kind === "prove") return response.output_receipt ?? new Uint8Array();
  if (kind === "agg") return response.agg_receipt ?? new Uint8Array();
  if (kind === "snark") return response.snark_proof_with_public_inputs ?? new Uint8Array();
  return kind === "single" ? (response.output ?? new Uint8Array()) : new Uint8Array();
}

function aggregateFields(task: PipelineTask, run: PipelineRun, data: TaskData): object {
  const { flags } = task.planned;
  return {
    seg_size: run.context.seg_size,
    vk: data.verifyingKey,
    inputs: data.inputs.map((input) => ({
      receipt_input: input.bytes,
      computed_request_id: input.taskId,
      is_agg: input.isAggregate,
    })),
    is_final: flags?.isFinal ?? false,
    is_first_shard: flags?.isFirstShard ?? false,
    is_leaf_layer: flags?.isLeafLayer ?? false,
    is_deferred: flags?.isDeferred ?? false,
  };
}
