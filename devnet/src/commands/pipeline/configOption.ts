import type { Options } from "yargs";

/** Of the pipeline's commands, with the existing service's default. */
export const pipelineConfigOption = {
  config: {
    alias: "c",
    type: "string",
    default: "./config/config.toml",
    requiresArg: true,
    describe: "TOML; the existing service's files do",
  },
} as const satisfies Record<string, Options>;
