import type { CommandModule } from "yargs";
import { pipelineProverCommand } from "./pipelineProver.ts";
import { pipelineRunCommands } from "./pipelineRuns.ts";
import { pipelineStageCommand } from "./pipelineStage.ts";
import { pipelineUserCommand } from "./pipelineUser.ts";

export const pipelineCommand: CommandModule = {
  command: "pipeline <command>",
  describe: "Proofs too large for one machine: split, prove in parallel, aggregate, wrap",
  builder: (yargs) =>
    yargs
      .command(pipelineStageCommand)
      .command(pipelineProverCommand)
      .command(pipelineUserCommand)
      .command([...pipelineRunCommands])
      .demandCommand(1, "Give a command."),
  handler: () => {},
};
