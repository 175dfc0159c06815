import "./errorCodes.ts";

export { type BuildImageOptions, type BuiltImage, buildImage } from "./image/buildImage.ts";
export type { ExecProgram } from "./image/execProgram.ts";
export type { Account } from "./up/accounts.ts";
export { type DevnetConfig, defineConfig } from "./up/defineConfig.ts";
export { type Devnet, startDevnet } from "./up/devnet.ts";
export type { DevnetNode } from "./up/devnetNode.ts";
export type { DevnetOptions } from "./up/devnetOptions.ts";
