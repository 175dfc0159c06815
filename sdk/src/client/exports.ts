/** What the entries for Node.js and for browsers have in common. */
import "./errorCodes.ts";

export type { Deployment, DeployOptions } from "../actions/deploy.ts";
export type { FoundHash } from "../actions/findHashes.ts";
export type { InputSource } from "../actions/inputSource.ts";
export type {
  ListedProgram,
  ListedRun,
  ListedTask,
  ListOptions,
  ListRunsOptions,
  ListTasksOptions,
  Page,
} from "../actions/lists.ts";
export type {
  DeployedProgram,
  LocalProgram,
  ProgramSource,
  RemoteProgram,
} from "../actions/programSource.ts";
export type { ProgramReference, ProveOptions } from "../actions/prove.ts";
export type { RunOptions, StepOptions } from "../actions/run.ts";
export type { ActionOptions, FileActionOptions, FileMode } from "../context/context.ts";
export type { FileHostOptions } from "../context/platform.ts";
export type { FileProgress, OnProgress } from "../context/progress.ts";
export { generateKey, type KeyPair, type SecretKeySource, type Signer } from "../context/signer.ts";
export type { ProgramVolume } from "../protocol/programVolumes.ts";
export type { RpcFile, RpcPayload, RpcTransaction } from "../protocol/rpc/rpcTransaction.ts";
export type { TransactionTree } from "../protocol/rpc/transactionTree.ts";
export type { Authenticity } from "../protocol/rpc/verifyRpcTransaction.ts";
export type {
  Hash,
  Payload,
  ProgramMetadata,
  PublicKey,
  Resources,
  Transaction,
} from "../protocol/transaction.ts";
export type * from "../runStatus.ts";
export type * from "../runTrace.ts";
export type { GevulotClientOptions } from "./coreClient.ts";
export type { FetchFileOptions, OutputFile } from "./outputFile.ts";
export type { EventsOptions, RunEvent, RunEventName } from "./runEvents.ts";
export type { ResultOptions, RunHandle } from "./runHandle.ts";
export type { ProofResult, RunResult, VerificationResult } from "./runResult.ts";
export type { RunStage } from "./runStage.ts";
