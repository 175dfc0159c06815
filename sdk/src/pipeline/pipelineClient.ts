import { sha256 } from "@noble/hashes/sha2.js";
import { GevulotError, isGevulotError } from "../errors.ts";
import { bytesToHex } from "../protocol/hex.ts";
import { createDeadline, delay } from "../transport/deadline.ts";
import { createEthereumKey } from "./ethereumKey.ts";
import {
  type PipelineRun,
  type PipelineRunStatus,
  toPipelineRun,
  toRunStatus,
  type WireRun,
} from "./pipelineRun.ts";
import { callStage, type StageCallOptions, type StageRequest } from "./stageCall.ts";

declare module "../errors.ts" {
  interface ErrorContexts {
    /** A run of the pipeline ended without a proof. */
    PIPELINE_FAILED: { proofId: string; status: string; reason: string };
    /** A run of the pipeline goes on, but the time to wait for it is up. */
    PIPELINE_NOT_DONE: { proofId: string; timeoutMs: number };
  }
}

export interface PipelineClientOptions {
  /** The stage's `api_addr`, e.g. `http://127.0.0.1:50020`. */
  readonly url: string;
  /** An Ethereum secret key, 32 bytes, of a user of the stage. */
  readonly key: Uint8Array;
  /** For one call; default 60,000. */
  readonly timeoutMs?: number;
  readonly fetch?: typeof globalThis.fetch;
}

export interface PipelineSubmit {
  /** A UUID; default a new one. Submitting the same request under the same id again changes nothing. */
  readonly proofId?: string;
  readonly elf: Uint8Array;
  readonly publicInput?: Uint8Array;
  readonly privateInput?: Uint8Array;
  /** Files of the block, by name. */
  readonly block?: Readonly<Record<string, Uint8Array>>;
  readonly blockNo?: bigint;
  /** Steps of a segment; default 131,072. */
  readonly segSize?: number;
  /** Where to end; default `snark`. */
  readonly target?: "split" | "agg" | "snark";
  /** How many of its tasks may run at once; default all. */
  readonly maxProvers?: number;
  /** -100 to 100; higher goes first. */
  readonly priority?: number;
  readonly deadlineSeconds?: number;
}

export interface WaitOptions {
  /** Default an hour. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  readonly onStatus?: (status: PipelineRunStatus) => void;
}

/** A user's view of a stage of the proving pipeline. All calls throw `CANNOT_REACH_STAGE` and `STAGE_REFUSED`. */
export interface PipelineClient {
  /** 40 hex digits. */
  readonly address: string;
  submit(run: PipelineSubmit): Promise<PipelineRun>;
  status(proofId: string): Promise<PipelineRunStatus>;
  /** Until the run succeeded. Throws `PIPELINE_FAILED`, `PIPELINE_NOT_DONE`, `CANCELLED`. */
  wait(proofId: string, options?: WaitOptions): Promise<PipelineRunStatus>;
  /** The proof of a run that succeeded, checked against its SHA-256. */
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

export function createPipelineClient(options: PipelineClientOptions): PipelineClient {
  const key = createEthereumKey(options.key);
  const { url, timeoutMs = CALL_TIMEOUT_MS, fetch = globalThis.fetch } = options;
  const stage: StageCallOptions = { url, key, timeoutMs, fetch };
  const call = async (request: StageRequest): Promise<WireRun> =>
    (await (await callStage(stage, request)).json()) as WireRun;
  const runPath = (proofId: string, action = "") => `/v1/runs/${encodeURIComponent(proofId)}${action}`;
  const status = async (proofId: string, signal?: AbortSignal) =>
    toRunStatus(await call({ method: "GET", path: runPath(proofId), signal }));

  return {
    address: key.address,
    submit: async (run) => toPipelineRun(await submit(stage, run)),
    status: (proofId) => status(proofId),
    wait: (proofId, waiting = {}) => untilDone(proofId, (signal) => status(proofId, signal), waiting),
    async result({ proofId, resultHash, status: state }) {
      if (resultHash === null) throw failed(proofId, state, "it has no result");
      const response = await callStage(stage, { method: "GET", path: `/v1/blobs/${resultHash}` });
      const bytes = new Uint8Array(await response.arrayBuffer());
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
      const answer = (await call({ method: "GET", path })) as unknown as { runs: WireRun[] };
      return answer.runs.map(toPipelineRun);
    },
    cancel: async (proofId) =>
      toPipelineRun(await call({ method: "POST", path: runPath(proofId, "/cancel") })),
    retry: async (proofId) => toPipelineRun(await call({ method: "POST", path: runPath(proofId, "/retry") })),
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
    elf: name(run.elf),
    seg_size: run.segSize ?? SEG_SIZE,
    target: run.target ?? "snark",
    ...(run.publicInput && { public_input: name(run.publicInput) }),
    ...(run.privateInput && { private_input: name(run.privateInput) }),
    block: Object.fromEntries(Object.entries(run.block ?? {}).map(([file, bytes]) => [file, name(bytes)])),
    ...(run.blockNo !== undefined && { block_no: String(run.blockNo) }),
    ...(run.maxProvers !== undefined && { max_prover_num: run.maxProvers }),
    ...(run.priority !== undefined && { priority: run.priority }),
    ...(run.deadlineSeconds !== undefined && { deadline_seconds: run.deadlineSeconds }),
  };
  const request: StageRequest = {
    method: "POST",
    path: "/v1/runs",
    body: new TextEncoder().encode(JSON.stringify(body)),
  };
  const post = async () => (await (await callStage(stage, request)).json()) as WireRun;
  try {
    return await post();
  } catch (error) {
    if (!isGevulotError(error, "STAGE_REFUSED") || error.context.missing.length === 0) throw error;
    for (const hash of error.context.missing) {
      await callStage(stage, { method: "PUT", path: `/v1/blobs/${hash}`, body: data.get(hash)! });
    }
    return post();
  }
}

async function untilDone(
  proofId: string,
  look: (signal: AbortSignal) => Promise<PipelineRunStatus>,
  { timeoutMs = WAIT_TIMEOUT_MS, signal, onStatus }: WaitOptions,
): Promise<PipelineRunStatus> {
  const deadline = createDeadline(timeoutMs, signal);
  try {
    for (let waitMs = FIRST_LOOK_MS; ; waitMs = Math.min(LONGEST_LOOK_MS, waitMs * 2)) {
      const run = await look(deadline.signal);
      onStatus?.(run);
      if (run.status === "SUCCESS") return run;
      if (run.status !== "COMPUTING") throw failed(proofId, run.status, run.error ?? "no reason was given");
      await delay(waitMs, deadline.signal);
    }
  } catch (error) {
    if (!deadline.isOver() || signal?.aborted) throw error;
    throw new GevulotError(
      "PIPELINE_NOT_DONE",
      `Run ${proofId} goes on, but ${timeoutMs} ms are up. Wait longer, or look where it is with status().`,
      { context: { proofId, timeoutMs } },
    );
  }
}

function failed(proofId: string, status: string, reason: string): GevulotError<"PIPELINE_FAILED"> {
  return new GevulotError("PIPELINE_FAILED", `Run ${proofId} has no proof (${status}): ${reason}.`, {
    context: { proofId, status, reason },
  });
}
