import type { CommandModule } from "yargs";
import { createLogger } from "../../observe/logger.ts";
import { readPipelineConfig } from "../../pipeline/config.ts";
import { createStage } from "../../pipeline/stage/createStage.ts";
import { reportErrors } from "../terminal/reportError.ts";
import { untilSignal } from "../terminal/untilSignal.ts";
import { pipelineConfigOption } from "./configOption.ts";

interface StageArguments {
  config: string;
}

export const pipelineStageCommand: CommandModule<object, StageArguments> = {
  command: "stage",
  describe: "Run a stage: takes runs, and gives their tasks to prover nodes",
  builder: (yargs) =>
    yargs
      .options(pipelineConfigOption)
      // What the existing service needs to be a stage: said already by the command.
      .option("stage", { alias: "s", type: "boolean", hidden: true })
      .example("$0 pipeline stage --config stage.toml", ""),
  handler: ({ config: path }) =>
    reportErrors(async () => {
      const config = await readPipelineConfig(path, "stage");
      const log = createLogger("info");
      const stop = untilSignal();
      const stage = await createStage({ log }, config);
      log.info({ addr: config.addr, port: stage.port }, "the stage is ready");
      log.info({ reason: await stop }, "the stage stops; its tasks are taken up again by the next start");
      await stage[Symbol.asyncDispose]();
    }),
};
