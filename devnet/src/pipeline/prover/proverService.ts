import { availableParallelism, freemem, totalmem } from "node:os";
import {
  type ChannelCredentials,
  type ServerUnaryCall,
  type ServiceDefinition,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import type { Logger } from "pino";
import type { PipelineConfig } from "../config.ts";
import type { BlobStore } from "../data/blobStore.ts";
import { createDataClient, type DataClient } from "../data/dataClient.ts";
import type { TaskMethod } from "../nodes/nodeClient.ts";
import { METADATA_DATA_ADDR, METADATA_FILES, RESULT_CODE, type WireTaskResponse } from "../wire/messages.ts";
import type { KeptResult, ResultStore } from "./resultStore.ts";
import { runStep, STEP_OF, type StepAnswer, type StepRequest } from "./steps.ts";
import { createTaskFiles } from "./taskFiles.ts";

export interface ProverServiceDeps {
  readonly log: Logger;
  readonly blobs: BlobStore;
  readonly results: ResultStore;
  readonly prover: ServiceDefinition;
  readonly stageData: ServiceDefinition;
  readonly credentials: ChannelCredentials;
  readonly count: (method: string) => () => void;
}

export interface ProverWork extends AsyncDisposable {
  readonly service: UntypedServiceImplementation;
  /** `computed_request_id`s of what runs now. */
  running(): string[];
  isDraining(): boolean;
  drain(): void;
}

type Answer = StepAnswer & { readonly result: { readonly code: number; readonly message: string } };
type Call = ServerUnaryCall<StepRequest, Answer>;

/** `prover.v1.ProverService`: each method runs the step that is configured for it. */
export function createProverWork(
  deps: ProverServiceDeps,
  config: PipelineConfig,
  nodeId: string,
): ProverWork {
  const { log } = deps;
  const running = new Map<
    string,
    { readonly answer: Promise<Answer>; readonly abort: AbortController; waiters: number }
  >();
  const dataClients = new Map<string, DataClient>();
  let draining = false;

  const dataClient = (addr: string): DataClient => {
    const client = dataClients.get(addr) ?? createDataClient(deps, addr);
    dataClients.set(addr, client);
    return client;
  };

  const compute = async (method: TaskMethod, call: Call, signal: AbortSignal): Promise<Answer> => {
    const { request, metadata } = call;
    const step = config.steps[STEP_OF[method]];
    if (!step)
      return failed(
        RESULT_CODE.INVALID_PARAMETER,
        `this node is not configured for ${STEP_OF[method]}: set [steps]`,
      );
    const addr = metadata.get(METADATA_DATA_ADDR)[0];
    const given = metadata.get(METADATA_FILES)[0];
    const data = addr === undefined ? null : dataClient(String(addr));
    const files = createTaskFiles({
      baseDir: config.base_dir,
      files: given === undefined ? {} : (JSON.parse(given.toString()) as Record<string, string>),
      data,
      anyPath: String(request.elf_path ?? config.base_dir),
      signal,
    });
    try {
      const answer = await runStep(method, step, request, {
        files,
        data,
        workDir: `${config.base_dir}/work`,
        signal,
      });
      return { ...answer, result: { code: RESULT_CODE.OK, message: "" } };
    } catch (error) {
      const { code, message } = error as { code?: unknown; message: string };
      const isRefused = code === status.INVALID_ARGUMENT;
      return failed(isRefused ? RESULT_CODE.INVALID_PARAMETER : RESULT_CODE.INTERNAL_ERROR, message);
    }
  };

  /** A request that runs already is joined; one whose answer was lost gets it again. */
  const work = async (method: TaskMethod, call: Call): Promise<Answer> => {
    const { computed_request_id: id } = call.request;
    const { responseDeserialize, responseSerialize } = deps.prover[method]!;
    const known = await deps.results.find(id);
    if (known?.method === method) return responseDeserialize(known.answer) as Answer;
    const joined = running.get(id);
    if (joined) {
      joined.waiters += 1;
      watchCancel(call, joined);
      return joined.answer;
    }
    if (draining || running.size >= config.slots)
      return failed(RESULT_CODE.BUSY, draining ? "draining" : "all slots are taken");
    const abort = new AbortController();
    const answer = compute(method, call, abort.signal)
      .then(async (done) => {
        const ids = { proof_id: call.request.proof_id, computed_request_id: id };
        const whole = { ...done, ...ids };
        if (done.result.code === RESULT_CODE.OK)
          await deps.results.keep(id, { method, answer: responseSerialize(whole) as Buffer });
        else log.warn({ task: id, step: STEP_OF[method], reason: done.result.message }, "a step failed");
        return whole;
      })
      .finally(() => running.delete(id));
    const entry = { answer, abort, waiters: 1 };
    running.set(id, entry);
    watchCancel(call, entry);
    return answer;
  };

  const method = (name: TaskMethod, metric: string) => (call: Call, done: sendUnaryData<Answer>) => {
    const end = deps.count(`prover::${metric}`);
    work(name, call)
      .then((answer) => done(null, answer))
      .catch((error: Error) => done({ code: status.INTERNAL, details: error.message }))
      .finally(end);
  };

  const getTaskResult = async (ids: { proof_id: string; computed_request_id: string }): Promise<object> => {
    const known = await deps.results.find(ids.computed_request_id);
    if (running.has(ids.computed_request_id))
      return { ...ids, result: { code: RESULT_CODE.BUSY, message: "it runs" } };
    if (!known)
      return {
        ...ids,
        result: { code: RESULT_CODE.INVALID_PARAMETER, message: "no such task was done here" },
      };
    return { ...ids, ...outputFields(deps.prover, known), result: { code: RESULT_CODE.OK, message: "" } };
  };

  return {
    running: () => [...running.keys()],
    isDraining: () => draining,
    drain() {
      draining = true;
    },
    service: {
      SplitElf: method("SplitElf", "split_elf"),
      Prove: method("Prove", "prove"),
      Aggregate: method("Aggregate", "aggregate"),
      SnarkProof: method("SnarkProof", "snark_proof"),
      SingleNode: method("SingleNode", "single_node"),
      GetStatus: (_call: unknown, done: sendUnaryData<object>) => {
        deps.count("prover::get_status")();
        done(null, {
          status: running.size > 0 ? STATUS_COMPUTING : STATUS_IDLE,
          prover_name: config.name ?? nodeId,
          prover_id: nodeId,
          number_of_cores: String(availableParallelism()),
          total_memory: String(totalmem()),
          free_memory: String(freemem()),
        });
      },
      GetTaskResult: (
        call: ServerUnaryCall<{ proof_id: string; computed_request_id: string }, object>,
        done: sendUnaryData<object>,
      ) => {
        const end = deps.count("prover::get_task_result");
        getTaskResult(call.request)
          .then((answer) => done(null, answer))
          .catch((error: Error) => done({ code: status.INTERNAL, details: error.message }))
          .finally(end);
      },
    },
    async [Symbol.asyncDispose]() {
      const entries = [...running.values()];
      for (const { abort } of entries) abort.abort();
      await Promise.all(entries.map(({ answer }) => answer.catch(() => {})));
      for (const client of dataClients.values()) client.close();
    },
  };
}

const STATUS_COMPUTING = 2;
const STATUS_IDLE = 3;

/** Work ends when the last who waits for it is gone. A call that broke may come again soon, so it gets some time. */
const JOIN_AGAIN_MS = 10_000;

function watchCancel(call: Call, entry: { waiters: number; readonly abort: AbortController }): void {
  call.once("cancelled", () => {
    entry.waiters -= 1;
    const timer = setTimeout(() => {
      if (entry.waiters === 0) entry.abort.abort();
    }, JOIN_AGAIN_MS);
    timer.unref();
  });
}

function failed(code: number, message: string): Answer {
  return { result: { code, message } };
}

/** The fields that `GetTaskResult` adds to the contract's. */
function outputFields(prover: ServiceDefinition, { method, answer }: KeptResult): object {
  const kept = prover[method]!.responseDeserialize(answer) as WireTaskResponse;
  const output =
    kept.output_receipt ??
    kept.agg_receipt ??
    kept.snark_proof_with_public_inputs ??
    kept.output ??
    Buffer.alloc(0);
  return { output, total_steps: kept.total_steps ?? "0", total_segments: kept.total_segments ?? 0 };
}
