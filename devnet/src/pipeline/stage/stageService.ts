import { readFile } from "node:fs/promises";
import {
  status as grpcStatus,
  type ServerUnaryCall,
  type sendUnaryData,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import type { Logger } from "pino";
import type { Database } from "../../store/database.ts";
import { isFileName } from "../admit/fileName.ts";
import type { ProofRequest } from "../admit/proofRequest.ts";
import { admit } from "../admit/refusal.ts";
import type { BlobStore } from "../data/blobStore.ts";
import type { SharedBase } from "../data/sharedBase.ts";
import type { ProverVersion } from "../plan/planTasks.ts";
import { elfPath } from "../runFolder.ts";
import { findRun, type PipelineRun } from "../store/runs.ts";
import { RUN_STATUS } from "../store/statuses.ts";
import { isUser } from "../store/users.ts";
import type {
  WireGenerateProofRequest,
  WireGenerateProofResponse,
  WireGetStatusResponse,
} from "../wire/messages.ts";
import { proofUrls } from "./proofUrls.ts";
import type { RunDriver } from "./runDriver.ts";
import { takeRun } from "./takeRun.ts";
import { folderOf } from "./taskRequest.ts";
import type { Unserved } from "./unserved.ts";

export interface StageServiceDeps {
  readonly log: Logger;
  readonly database: Database;
  readonly blobs: BlobStore;
  readonly base: SharedBase;
  readonly driver: RunDriver;
  readonly unserved: Unserved;
  readonly count: (method: string) => () => void;
}

export interface StageServiceOptions {
  readonly version: ProverVersion;
  readonly baseDir: string;
  readonly fileServerUrl: string | null;
  readonly verifies: boolean;
}

const ELF_ID = /^[0-9a-f]{64}$/;

/** `stage.v1.StageService`, the contract's sections 1 to 3. */
export function createStageService(
  deps: StageServiceDeps,
  options: StageServiceOptions,
): UntypedServiceImplementation {
  return {
    GenerateProof: (
      call: ServerUnaryCall<WireGenerateProofRequest, WireGenerateProofResponse>,
      done: sendUnaryData<WireGenerateProofResponse>,
    ) => {
      const end = deps.count("stage::generate_proof");
      generateProof(deps, options, toProofRequest(call.request))
        .then((answer) => done(null, answer))
        .catch((error: Error) => {
          deps.log.error({ reason: error.message }, "a request could not be stored");
          done({ code: grpcStatus.INTERNAL, details: error.message });
        })
        .finally(end);
    },
    GetStatus: (
      call: ServerUnaryCall<{ proof_id: string }, WireGetStatusResponse>,
      done: sendUnaryData<WireGetStatusResponse>,
    ) => {
      const end = deps.count("stage::get_status");
      const { proof_id: proofId } = call.request;
      const details = `no run has the proof_id ${JSON.stringify(proofId)}: submit it with GenerateProof`;
      getStatus(deps, options, proofId)
        .then((answer) => (answer ? done(null, answer) : done({ code: grpcStatus.NOT_FOUND, details })))
        .catch((error: Error) => done({ code: grpcStatus.INTERNAL, details: error.message }))
        .finally(end);
    },
  };
}

async function generateProof(
  deps: StageServiceDeps,
  options: StageServiceOptions,
  request: ProofRequest,
): Promise<WireGenerateProofResponse> {
  const { base } = deps;
  const { version, baseDir } = options;
  const admission = await admit(request, {
    version,
    isUser: (address) => isUser(deps.database, address),
    hasElf: async (elfId) => ELF_ID.test(elfId) && (await base.fetch(elfPath(baseDir, elfId))),
  });
  if (admission.kind === "refused") return refusal(request.proofId, admission.reason);
  const taken = await takeRun(deps, options, request, { address: admission.address });
  if (taken.kind === "other") {
    const reason = "proof_id is taken by another request: give each request its own UUID";
    return refusal(request.proofId, reason);
  }
  const { run } = taken;
  return { status: RUN_STATUS.COMPUTING, proof_id: run.id, ...proofUrls(options.fileServerUrl, run) };
}

async function getStatus(
  { database, blobs, base, unserved }: StageServiceDeps,
  options: StageServiceOptions,
  proofId: string,
): Promise<WireGetStatusResponse | null> {
  const run = isFileName(proofId) ? await findRun(database, proofId) : null;
  if (!run) return null;
  const isDone = run.status === RUN_STATUS.SUCCESS;
  const result = isDone && run.resultHash ? await blobs.readAll(run.resultHash) : null;
  // A composite proof's receipts are no finished proof; the contract has a place for the first.
  const isReceipt = run.shape.target === "prove";
  const waits = run.finishedAt ? [] : await unserved.ofRun(run.id);
  const urls = proofUrls(options.fileServerUrl, run);
  // Existing nodes leave the proof that was wrapped, ours do not.
  const lacksStark = isDone && urls.stark_proof_url && !(await base.fetch(folderOf(run).starkProof));
  return {
    proof_id: run.id,
    status: run.status,
    step: run.step,
    error_message: run.error ?? waits.join("; "),
    total_steps: String(run.totalSteps ?? 0n),
    // Of a run that goes on the existing service gives its heartbeat here, which says nothing: 0.
    proving_time: String(run.finishedAt ? run.checkAt : 0),
    ...(result && (isReceipt ? { receipt: result } : { proof_with_public_inputs: result })),
    ...(isDone && { output_stream: await readOutputStream(base, run) }),
    ...urls,
    ...(lacksStark && { stark_proof_url: "" }),
  };
}

async function readOutputStream(base: SharedBase, run: PipelineRun): Promise<Buffer> {
  const { outputStream } = folderOf(run);
  await base.fetch(outputStream);
  return readFile(outputStream).catch(() => Buffer.alloc(0));
}

function toProofRequest(wire: WireGenerateProofRequest): ProofRequest {
  // Empty: absent, of clients that fill in every field.
  const elfId = wire.elf_id?.replace(/^0x/, "").toLowerCase() || undefined;
  return {
    proofId: wire.proof_id,
    elfData: wire.elf_data,
    blockData: wire.block_data.map((item) => ({ fileName: item.file_name, fileContent: item.file_content })),
    blockNo: wire.block_no === undefined ? undefined : BigInt(wire.block_no),
    segSize: wire.seg_size,
    elfId,
    signature: wire.signature,
    publicInput: wire.public_input_stream,
    privateInput: wire.private_input_stream,
    targetStep: wire.target_step,
    compositeProof: wire.composite_proof,
    receiptInputs: wire.receipt_inputs,
    receipts: wire.receipts,
    fromStep: wire.from_step,
    singleNode: wire.single_node,
    maxProverNum: wire.max_prover_num,
  };
}

function refusal(proofId: string, reason: string): WireGenerateProofResponse {
  const echoed = isFileName(proofId) ? proofId : "";
  return { status: RUN_STATUS.INVALID_PARAMETER, error_message: reason, proof_id: echoed };
}
