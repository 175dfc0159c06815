import type { CommandModule } from "yargs";
import { pipelineProverCommand } from "./prover.ts";
import { pipelineRunCommands } from "./runs.ts";
import { pipelineStageCommand } from "./stage.ts";
import { pipelineUserCommand } from "./user.ts";

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
