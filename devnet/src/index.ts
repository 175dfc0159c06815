import "./errorCodes.ts";

export { type BuildImageOptions, type BuiltImage, buildImage } from "./image/buildImage.ts";
export type { ExecProgram } from "./image/execProgram.ts";
export {
  gevulotMatchers,
  type MatcherResult,
  type VerifiableRun,
  type VerifyLimits,
  type VerifyOptions,
} from "./matchers.ts";
export type { Checkpoint } from "./state/snapshots.ts";
export type { Account } from "./up/accounts.ts";
export { type DevnetConfig, defineConfig } from "./up/defineConfig.ts";
export { type Devnet, startDevnet } from "./up/devnet.ts";
export type { ChanceOptions, DevnetFaults, Fault } from "./up/devnetFaults.ts";
export type { DevnetNode } from "./up/devnetNode.ts";
export type { DevnetOptions } from "./up/devnetOptions.ts";
