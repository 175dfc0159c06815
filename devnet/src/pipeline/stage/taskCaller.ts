import { readFile } from "node:fs/promises";
import { sep } from "node:path";
import { Metadata } from "@grpc/grpc-js";
import type { Database } from "../../store/database.ts";
import type { PipelineConfig } from "../config.ts";
import type { BlobStore } from "../data/blobStore.ts";
import { setFileList } from "../data/fileList.ts";
import type { SharedBase } from "../data/sharedBase.ts";
import type { ProverNode } from "../nodes/proverNode.ts";
import type { PipelineRun } from "../store/runs.ts";
import { type PipelineTask, readInputs } from "../store/tasks.ts";
import { METADATA_DATA_ADDR, RESULT_CODE, type WireTaskResponse } from "../wire/messages.ts";
import { deadlineMsOf } from "./deadlines.ts";
import type { TaskOutput } from "./runDriver.ts";
import { parseBincodeList } from "./runInputs.ts";
import type { SegmentCollector } from "./segmentCollector.ts";
import {
  type CallKind,
  folderOf,
  isOfEarlierRelease,
  METHODS,
  outputOf,
  segmentPath,
  type TaskData,
  type TaskInput,
  taskRequest,
} from "./taskRequest.ts";
import { type Checkable, readCheckable, type VerifyStep } from "./verifyStep.ts";

export type TaskEnd =
  | { readonly kind: "done"; readonly output: TaskOutput }
  /** The node says that it can't be done; another is tried. */
  | { readonly kind: "failed"; readonly reason: string }
  /** No answer in the step's time. */
  | { readonly kind: "late"; readonly reason: string }
  /** The node is gone. */
  | { readonly kind: "lost"; readonly reason: string }
  /** The node has no room now. */
  | { readonly kind: "busy"; readonly reason: string }
  /** The node was not asked, or its answer could not be read, as the database is away. */
  | { readonly kind: "unwatched"; readonly reason: string }
  | { readonly kind: "cancelled" };

/** One call of one task at one node. */
export interface TaskCaller {
  call(task: PipelineTask, run: PipelineRun, node: ProverNode, signal: AbortSignal): Promise<TaskEnd>;
}

export interface TaskCallerDeps {
  readonly database: Database;
  readonly blobs: BlobStore;
  readonly base: SharedBase;
  readonly segments: SegmentCollector;
  /** `host:port` of this stage's StageData. */
  readonly dataAddr: () => string;
  readonly verify: VerifyStep | null;
}

export function createTaskCaller(
  deps: TaskCallerDeps,
  options: Pick<PipelineConfig, "deadline_seconds">,
): TaskCaller {
  return {
    async call(task, run, node, signal) {
      if (task.kind === "verify") return verifyTask(deps, task, run, signal);
      const { kind } = task;
      const data = await readData(deps, task, run);
      if (!node.client)
        return { kind: "failed", reason: "the node gave no address under which it can be called" };
      const stepMs = deadlineMsOf(kind, options);
      // It may wait there for one that takes as long.
      const deadlineMs = node.running > node.slots ? 2 * stepMs : stepMs;
      const collecting = kind === "split" ? deps.segments.collect(task, run, node.sharesBase) : null;
      try {
        const metadata = new Metadata();
        if (!node.sharesBase) {
          metadata.set(METADATA_DATA_ADDR, deps.dataAddr());
          await setFileList(metadata, wirePaths(deps.base, filesOf(kind, task, run)), deps.blobs);
        }
        const outcome = await node.client.call(
          METHODS[kind],
          wireRequest(deps.base, taskRequest(kind, task, run, data)),
          metadata,
          { deadlineMs, signal: AbortSignal.any([signal, node.gone]) },
        );
        if (outcome.kind === "cancelled" && !signal.aborted) {
          return { kind: "lost", reason: "the node left, or no longer answers" };
        }
        if (outcome.kind === "late") {
          return { kind: "late", reason: `no answer within ${deadlineMs / 1_000} s` };
        }
        if (outcome.kind !== "answered") return outcome;
        const end = endOf(outcome.response);
        if (end) return end;
        if (!collecting) return await store(deps.blobs, kind, outcome.response);
        return await collecting.finish(outcome.response);
      } finally {
        collecting?.stop();
      }
    },
  };
}

async function readData(deps: TaskCallerDeps, task: PipelineTask, run: PipelineRun): Promise<TaskData> {
  const { flags, index } = task.planned;
  const made = task.planned.needs.length === 0 ? [] : await readInputs(deps.database, task);
  const inputs: TaskInput[] = await Promise.all(
    made.map(async (input) => ({
      taskId: input.id,
      bytes: await deps.blobs.readAll(input.outputHash!),
      isAggregate: input.kind === "agg",
    })),
  );
  // zkm2's are proved apart, as deferred proofs.
  const takesReceipts = task.kind === "prove" && run.shape.version === "zkm";
  const receipts = takesReceipts ? await readReceipts(deps.blobs, run) : [];
  if (flags?.isDeferred) {
    const bytes =
      task.inputHash === null
        ? (await readReceipts(deps.blobs, run))[index - run.segments.total!]!
        : await deps.blobs.readAll(task.inputHash);
    inputs.push({ taskId: "", bytes, isAggregate: false });
  } else if (task.kind === "snark" && task.inputHash !== null) {
    inputs.push({ taskId: "", bytes: await deps.blobs.readAll(task.inputHash), isAggregate: true });
  }
  const needsKey = run.shape.version === "zkm2" && flags?.isLeafLayer;
  if (needsKey) await deps.base.fetch(folderOf(run).verifyingKey);
  const verifyingKey = needsKey ? await readFile(folderOf(run).verifyingKey) : new Uint8Array();
  return { inputs, receipts, verifyingKey };
}

/** The last step: the finished proof is checked here, at the stage. */
async function verifyTask(
  { verify, blobs, database }: TaskCallerDeps,
  task: PipelineTask,
  run: PipelineRun,
  signal: AbortSignal,
): Promise<TaskEnd> {
  if (!verify) return { kind: "failed", reason: "this stage has no [steps] verify any more: configure it" };
  const [made] = await readInputs(database, task);
  const path = run.context.public_input_path;
  const checkable: Checkable = {
    ...(await readCheckable(blobs, made!, await readInputs(database, made!))),
    ...(path !== "" && { publicInput: await blobs.readAll(run.context.files[path]!) }),
  };
  const result = await verify(checkable, signal);
  if (result.kind === "valid") return { kind: "done", output: NOTHING };
  return result.kind === "invalid" ? { kind: "failed", reason: result.reason } : result;
}

/** What a check leaves: the hash of no bytes. */
const NOTHING = { hash: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", bytes: 0 };

/** What a node without this disk fetches for the call: the files that the request names. */
function filesOf(kind: CallKind, task: PipelineTask, run: PipelineRun): Record<string, string> {
  const { files, elf_path: elf } = run.context;
  if (kind === "split" || kind === "single") return { ...files };
  if (kind !== "prove") return {};
  return { [elf]: files[elf]!, [segmentPath(run, task)]: task.inputHash! };
}

/** With the paths by which others know the files. */
function wireRequest(base: SharedBase, request: object): object {
  const isPath = (value: unknown): value is string =>
    typeof value === "string" && (value === base.dir || value.startsWith(base.dir + sep));
  return Object.fromEntries(
    Object.entries(request).map(([name, value]) => [name, isPath(value) ? base.wirePath(value) : value]),
  );
}

function wirePaths(base: SharedBase, files: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(files).map(([path, hash]) => [base.wirePath(path), hash]));
}

/** PostgreSQL's largest whole number. */
const MAX_STEPS = 2n ** 63n - 1n;

/** Null where the node says that it did it. */
function endOf(response: WireTaskResponse): TaskEnd | null {
  const { result } = response;
  if (!result) return { kind: "failed", reason: "the answer has no result" };
  if (result.code === RESULT_CODE.OK) {
    const isStorable = BigInt(response.total_steps ?? 0) <= MAX_STEPS;
    return isStorable ? null : { kind: "failed", reason: `no run has ${response.total_steps} steps` };
  }
  if (result.code === RESULT_CODE.BUSY) return { kind: "busy", reason: result.message || "busy" };
  const unspecified =
    result.code === RESULT_CODE.UNSPECIFIED ? "the node answers UNSPECIFIED" : "no reason given";
  return { kind: "failed", reason: result.message || unspecified };
}

/** Receipts of other runs that came with the request. */
async function readReceipts(blobs: BlobStore, run: PipelineRun): Promise<Uint8Array[]> {
  const { receipt_inputs_path, receipts_path, files } = run.context;
  const path = isOfEarlierRelease(run) ? receipts_path : receipt_inputs_path;
  return path === "" ? [] : parseBincodeList(await blobs.readAll(files[path]!));
}

async function store(blobs: BlobStore, kind: CallKind, response: WireTaskResponse): Promise<TaskEnd> {
  const output = outputOf(kind, response);
  if (output.length === 0) return { kind: "failed", reason: "the node answered OK without an output" };
  const totalSteps = kind === "single" ? { totalSteps: BigInt(response.total_steps ?? 0) } : {};
  return { kind: "done", output: { ...(await blobs.put(output)), ...totalSteps } };
}
