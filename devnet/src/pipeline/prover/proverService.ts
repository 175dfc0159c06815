import { availableParallelism } from "node:os";
import {
  type ServerUnaryCall,
  type ServiceDefinition,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import type { TaskMethod } from "../nodes/nodeClient.ts";
import { RESULT_CODE, type WireTaskResponse } from "../wire/messages.ts";
import type { Memory } from "./machine.ts";
import type { KeptResult, ResultStore } from "./resultStore.ts";
import type { Answer, Call } from "./taskRun.ts";
import type { TaskRuns } from "./taskRuns.ts";

export interface ProverServiceDeps {
  readonly runs: TaskRuns;
  readonly results: ResultStore;
  readonly prover: ServiceDefinition;
  /** Counts a call; what it gives back is called at its end. */
  readonly count: (method: string) => () => void;
}

interface TaskIds {
  readonly proof_id: string;
  readonly computed_request_id: string;
}

const STATUS_COMPUTING = 2;
const STATUS_IDLE = 3;
/** It takes nothing new. */
const STATUS_HALT = 4;

/** `prover.v1.ProverService`. */
export function createProverService(
  deps: ProverServiceDeps,
  node: { readonly id: string; readonly name: string; readonly memory: () => Memory },
): UntypedServiceImplementation {
  const { runs, count } = deps;
  const step = (name: TaskMethod, metric: string) => (call: Call, done: sendUnaryData<Answer>) =>
    answer(runs.run(name, call), count(`prover::${metric}`), done);
  return {
    SplitElf: step("SplitElf", "split_elf"),
    Prove: step("Prove", "prove"),
    Aggregate: step("Aggregate", "aggregate"),
    SnarkProof: step("SnarkProof", "snark_proof"),
    SingleNode: step("SingleNode", "single_node"),
    GetStatus: (_call: unknown, done: sendUnaryData<object>) => {
      count("prover::get_status")();
      const { total, free } = node.memory();
      const working = runs.running().length > 0 ? STATUS_COMPUTING : STATUS_IDLE;
      done(null, {
        status: runs.isDraining() ? STATUS_HALT : working,
        prover_name: node.name,
        prover_id: node.id,
        number_of_cores: String(availableParallelism()),
        total_memory: String(total),
        free_memory: String(free),
      });
    },
    GetTaskResult: (call: ServerUnaryCall<TaskIds, object>, done: sendUnaryData<object>) =>
      answer(getTaskResult(deps, call.request), count("prover::get_task_result"), done),
  };
}

function answer<A>(work: Promise<A>, end: () => void, done: sendUnaryData<A>): void {
  work
    .then((value) => done(null, value))
    .catch((error: Error) => done({ code: status.INTERNAL, details: error.message }))
    .finally(end);
}

async function getTaskResult({ runs, results, prover }: ProverServiceDeps, ids: TaskIds): Promise<object> {
  const { proof_id, computed_request_id: id } = ids;
  const result = (code: number, message: string) => ({
    proof_id,
    computed_request_id: id,
    result: { code, message },
  });
  if (runs.running().includes(id)) return result(RESULT_CODE.BUSY, "it runs");
  const known = await results.find(id);
  if (!known) return result(RESULT_CODE.INVALID_PARAMETER, "no such task was done here");
  return { ...result(RESULT_CODE.OK, ""), ...outputFields(prover, known) };
}

/** The fields that `GetTaskResult` adds to the contract's. */
function outputFields(prover: ServiceDefinition, { method, answer: bytes }: KeptResult): object {
  const kept = prover[method]!.responseDeserialize(bytes) as WireTaskResponse;
  const output =
    kept.output_receipt ??
    kept.agg_receipt ??
    kept.snark_proof_with_public_inputs ??
    kept.output ??
    Buffer.alloc(0);
  return { output, total_steps: kept.total_steps ?? "0", total_segments: kept.total_segments ?? 0 };
}
