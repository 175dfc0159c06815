import type { DevnetOptions } from "./devnetOptions.ts";

/** What a project's `gevulot.config.ts` may say of its devnet. Flags of `gevulot-devnet up` come before it. */
export type DevnetConfig = Pick<
  DevnetOptions,
  | "nodes"
  | "mode"
  | "provers"
  | "verifiers"
  | "attempts"
  | "join"
  | "passphrase"
  | "provider"
  | "execution"
  | "allowUnmountedImages"
  | "taskDeadlineSeconds"
  | "taskIdleSeconds"
  | "volumesDirectory"
  | "memGb"
  | "numCpus"
  | "ports"
  | "postgresPort"
>;

/**
 * Gives a configuration its type.
 *
 * @example
 * ```ts
 * // gevulot.config.ts
 * import { defineConfig } from "gevulot-devnet/config";
 *
 * export default defineConfig({ nodes: 5, provider: "process", ports: { rpc: 9944 } });
 * ```
 */
export function defineConfig(config: DevnetConfig): DevnetConfig {
  return config;
}
