import "./errorCodes.ts";

export { callText, type SignedCall } from "./callText.ts";
export { createPipelineClient, type PipelineClientOptions } from "./createPipelineClient.ts";
export { createEthereumKey, type EthereumKey, type EthereumSigner } from "./ethereumKey.ts";
export type { PipelineClient, PipelineSubmit, WaitOptions } from "./pipelineClient.ts";
export type { PipelineRun, PipelineRunStatus, PipelineTask } from "./pipelineRun.ts";
