import { sha256 } from "@noble/hashes/sha2.js";
import { checkMs, checkSignal } from "../context/checkOptions.ts";
import type { Signer } from "../context/signer.ts";
import { GevulotError, isGevulotError } from "../errors.ts";
import { bytesToHex } from "../protocol/hex.ts";
import { cancelled } from "../transport/cancelled.ts";
import { createDeadline, delay } from "../transport/deadline.ts";
import { createEthereumSigner } from "./ethereumKey.ts";
import {
  type PipelineRun,
  type PipelineRunStatus,
  toPipelineRun,
  toRunStatus,
  type WireRun,
} from "./pipelineRun.ts";
import { askStage, callStage, type StageCallOptions, type StageRequest } from "./stageCall.ts";

declare module "../errors.ts" {
  interface ErrorContexts {
    /** A run of the pipeline ended without a proof. */
    PIPELINE_FAILED: { proofId: string; status: string; reason: string };
    /** A run of the pipeline goes on, but the time to wait for it is up. */
    PIPELINE_NOT_DONE: { proofId: string; timeoutMs: number };
  }
}

export interface PipelineSubmit {
  /** A UUID; default a new one. Submitting the same request under the same id again changes nothing. */
  readonly proofId?: string;
  /** Every run needs one but those from `agg`. */
  readonly elf?: Uint8Array;
  readonly publicInput?: Uint8Array;
  readonly privateInput?: Uint8Array;
  /** Files of the block, by name. */
  readonly block?: Readonly<Record<string, Uint8Array>>;
  readonly blockNo?: bigint;
  /** Steps of a segment; default 131,072. */
  readonly segSize?: number;
  /** Where to end; default `snark`. */
  readonly target?: "split" | "agg" | "snark";
  /** `agg` wraps `receiptInputs[0]`, which an earlier run made, and does nothing else; default `init`. */
  readonly from?: "init" | "agg";
  /** Ends when all segments are proved. */
  readonly composite?: boolean;
  /** One node does all of it, in one step. */
  readonly singleNode?: boolean;
  /** Of other runs, which this one's program verifies. */
  readonly receiptInputs?: readonly Uint8Array[];
  /** Kept with the run, and given to no step, as with the existing service. */
  readonly receipts?: readonly Uint8Array[];
  /** How many of its tasks may run at once; default all. */
  readonly maxProvers?: number;
  /** -100 to 100; higher goes first. */
  readonly priority?: number;
  readonly deadlineSeconds?: number;
}

export interface WaitOptions {
  /** Default an hour. While it lasts the stage may be away, as for a restart. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  readonly onStatus?: (status: PipelineRunStatus) => void;
}

/** A user's view of a stage of the proving pipeline. All calls throw `CANNOT_REACH_STAGE` and `STAGE_REFUSED`. */
export interface PipelineClient {
  /** The user's: 40 hex digits. */
  getAddress(): Promise<string>;
  submit(run: PipelineSubmit): Promise<PipelineRun>;
  status(proofId: string): Promise<PipelineRunStatus>;
  /** Until the run succeeded. Throws `PIPELINE_FAILED`, `PIPELINE_NOT_DONE`, `CANCELLED`; an absent stage only in the end. */
  wait(proofId: string, options?: WaitOptions): Promise<PipelineRunStatus>;
  /** The proof of a run that succeeded, checked against its SHA-256. Throws `PIPELINE_FAILED`, `PIPELINE_NOT_DONE`. */
  result(run: PipelineRun): Promise<Uint8Array>;
  list(options?: {
    readonly state?: "running" | "finished";
    readonly limit?: number;
    readonly before?: string;
  }): Promise<PipelineRun[]>;
  cancel(proofId: string): Promise<PipelineRun>;
  /** A failed run goes on from what is done. */
  retry(proofId: string): Promise<PipelineRun>;
}

const CALL_TIMEOUT_MS = 60_000;
const WAIT_TIMEOUT_MS = 3_600_000;
const FIRST_LOOK_MS = 200;
const LONGEST_LOOK_MS = 3_000;
const SEG_SIZE = 131_072;
const FIRST_SERVER_ERROR = 500;

export interface StageClientOptions {
  readonly url: string;
  readonly getSigner: () => Promise<Signer>;
  readonly timeoutMs?: number | undefined;
  readonly fetch: typeof globalThis.fetch;
}

/** Of options that were checked, whoever signs. */
export function createStageClient(options: StageClientOptions): PipelineClient {
  const { url, timeoutMs = CALL_TIMEOUT_MS, fetch } = options;
  const getSigner = async () => createEthereumSigner(await options.getSigner());
  const stage: StageCallOptions = { url, getSigner, timeoutMs, fetch };
  const ask = (request: StageRequest) => askStage<WireRun>(stage, request);
  const runPath = (proofId: string, action = "") => `/v1/runs/${encodeURIComponent(proofId)}${action}`;
  const status = async (proofId: string, signal?: AbortSignal) =>
    toRunStatus(await ask({ method: "GET", path: runPath(proofId), signal }));

  return {
    getAddress: async () => (await stage.getSigner()).address,
    submit: async (run) => toPipelineRun(await submit(stage, run)),
    status: (proofId) => status(proofId),
    wait: (proofId, waiting = {}) => untilDone(proofId, (signal) => status(proofId, signal), waiting),
    async result({ proofId, resultHash, status: state, error }) {
      if (state === "COMPUTING") throw notDone(proofId, 0);
      if (resultHash === null) throw failed(proofId, state, error ?? "it has no result");
      const bytes = await callStage(stage, { method: "GET", path: `/v1/blobs/${resultHash}` });
      if (bytesToHex(sha256(bytes)) !== resultHash)
        throw failed(proofId, state, "the proof that came is not the run's");
      return bytes;
    },
    async list({ state, limit, before } = {}) {
      const query = new URLSearchParams({
        ...(state && { state }),
        ...(limit && { limit: String(limit) }),
        ...(before && { before }),
      });
      const path = `/v1/runs${query.size > 0 ? `?${query}` : ""}`;
      const { runs } = await askStage<{ runs: WireRun[] }>(stage, { method: "GET", path });
      return runs.map(toPipelineRun);
    },
    cancel: async (proofId) =>
      toPipelineRun(await ask({ method: "POST", path: runPath(proofId, "/cancel") })),
    retry: async (proofId) => toPipelineRun(await ask({ method: "POST", path: runPath(proofId, "/retry") })),
  };
}

/** Names the data by its SHA-256, and sends what the stage lacks. */
async function submit(stage: StageCallOptions, run: PipelineSubmit): Promise<WireRun> {
  const data = new Map<string, Uint8Array>();
  const name = (bytes: Uint8Array): string => {
    const hash = bytesToHex(sha256(bytes));
    data.set(hash, bytes);
    return hash;
  };
  const body = {
    proof_id: run.proofId ?? globalThis.crypto.randomUUID(),
    ...(run.elf && { elf: name(run.elf) }),
    seg_size: run.segSize ?? SEG_SIZE,
    target: run.target ?? "snark",
    ...(run.publicInput && { public_input: name(run.publicInput) }),
    ...(run.privateInput && { private_input: name(run.privateInput) }),
    block: Object.fromEntries(Object.entries(run.block ?? {}).map(([file, bytes]) => [file, name(bytes)])),
    ...(run.blockNo !== undefined && { block_no: String(run.blockNo) }),
    ...(run.from && { from: run.from }),
    ...(run.composite && { composite_proof: true }),
    ...(run.singleNode && { single_node: true }),
    ...(run.receiptInputs && { receipt_inputs: run.receiptInputs.map(name) }),
    ...(run.receipts && { receipts: run.receipts.map(name) }),
    ...(run.maxProvers !== undefined && { max_prover_num: run.maxProvers }),
    ...(run.priority !== undefined && { priority: run.priority }),
    ...(run.deadlineSeconds !== undefined && { deadline_seconds: run.deadlineSeconds }),
  };
  const request: StageRequest = {
    method: "POST",
    path: "/v1/runs",
    body: new TextEncoder().encode(JSON.stringify(body)),
  };
  try {
    return await askStage<WireRun>(stage, request);
  } catch (error) {
    if (!isGevulotError(error, "STAGE_REFUSED") || error.context.missing.length === 0) throw error;
    for (const hash of error.context.missing) {
      await callStage(stage, { method: "PUT", path: `/v1/blobs/${hash}`, body: data.get(hash)! });
    }
    return askStage<WireRun>(stage, request);
  }
}

async function untilDone(
  proofId: string,
  look: (signal: AbortSignal) => Promise<PipelineRunStatus>,
  { timeoutMs = WAIT_TIMEOUT_MS, signal, onStatus }: WaitOptions,
): Promise<PipelineRunStatus> {
  checkMs({ timeoutMs });
  checkSignal(signal);
  const deadline = createDeadline(timeoutMs, signal);
  let away: GevulotError | undefined;
  for (let waitMs = FIRST_LOOK_MS; ; waitMs = Math.min(LONGEST_LOOK_MS, waitMs * 2)) {
    try {
      const run = await look(deadline.signal);
      away = undefined;
      onStatus?.(run);
      if (run.status === "SUCCESS") return run;
      if (run.status !== "COMPUTING") throw failed(proofId, run.status, run.error ?? "no reason was given");
    } catch (error) {
      if (isAway(error)) away = error;
      else if (!isGevulotError(error, "CANCELLED")) throw error;
    }
    await delay(waitMs, deadline.signal).catch(() => {});
    if (signal?.aborted) throw cancelled(`run ${proofId}`, signal);
    if (deadline.isOver()) throw away ?? notDone(proofId, timeoutMs);
  }
}

/** The stage restarts, or its database does. */
function isAway(error: unknown): error is GevulotError {
  if (isGevulotError(error, "STAGE_REFUSED")) return error.context.status >= FIRST_SERVER_ERROR;
  return isGevulotError(error, "CANNOT_REACH_STAGE");
}

function notDone(proofId: string, timeoutMs: number): GevulotError<"PIPELINE_NOT_DONE"> {
  const late = timeoutMs > 0 ? `, but ${timeoutMs} ms are up` : "";
  return new GevulotError(
    "PIPELINE_NOT_DONE",
    `Run ${proofId} goes on${late}. Wait longer, or look where it is by its status.`,
    { context: { proofId, timeoutMs } },
  );
}

function failed(proofId: string, status: string, reason: string): GevulotError<"PIPELINE_FAILED"> {
  return new GevulotError("PIPELINE_FAILED", `Run ${proofId} has no proof (${status}): ${reason}.`, {
    context: { proofId, status, reason },
  });
}
