import type { CommandModule } from "yargs";
import { createLogger } from "../../observe/logger.ts";
import { readPipelineConfig } from "../../pipeline/config.ts";
import { createStage } from "../../pipeline/stage/createStage.ts";
import { reportErrors } from "../terminal/reportError.ts";
import { untilSignal } from "../terminal/untilSignal.ts";
import { pipelineConfigOption } from "./configOption.ts";

interface StageArguments {
  config: string;
  "prove-nodes-num": number | undefined;
}

export const pipelineStageCommand: CommandModule<object, StageArguments> = {
  command: "stage",
  describe: "Run a stage: takes runs, and gives their tasks to prover nodes",
  builder: (yargs) =>
    yargs
      .options(pipelineConfigOption)
      // What the existing service needs to be a stage: said already by the command.
      .option("stage", { alias: "s", type: "boolean", hidden: true })
      .option("prove-nodes-num", {
        type: "number",
        default: Number(process.env.PROVE_NODES_NUM) || undefined,
        defaultDescription: "$PROVE_NODES_NUM, else all",
        requiresArg: true,
        describe: "Of prover_addrs the first so many prove",
      })
      .example("$0 pipeline stage --config stage.toml", ""),
  handler: ({ config: path, "prove-nodes-num": proveNodesNum }) =>
    reportErrors(async () => {
      const changes = { ...(proveNodesNum !== undefined && { prove_nodes_num: proveNodesNum }) };
      const config = await readPipelineConfig(path, "stage", changes);
      const log = createLogger("info");
      const stop = untilSignal();
      const stage = await createStage({ log }, config);
      log.info({ addr: config.addr, port: stage.port }, "the stage is ready");
      log.info({ reason: await stop }, "the stage stops; its tasks are taken up again by the next start");
      await stage[Symbol.asyncDispose]();
    }),
};
