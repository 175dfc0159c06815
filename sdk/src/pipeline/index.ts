import "./errorCodes.ts";

export { callText, type SignedCall } from "./callText.ts";
export { createEthereumKey, type EthereumKey, type EthereumSigner } from "./ethereumKey.ts";
export {
  createPipelineClient,
  type PipelineClient,
  type PipelineClientOptions,
  type PipelineSubmit,
  type WaitOptions,
} from "./pipelineClient.ts";
export type { PipelineRun, PipelineRunStatus, PipelineTask } from "./pipelineRun.ts";
