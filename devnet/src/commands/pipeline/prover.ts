import { setTimeout as delay } from "node:timers/promises";
import type { CommandModule } from "yargs";
import { createLogger } from "../../observe/logger.ts";
import { readPipelineConfig } from "../../pipeline/config.ts";
import { createProver, type Prover } from "../../pipeline/prover/createProver.ts";
import { reportErrors } from "../terminal/reportError.ts";
import { untilSignal } from "../terminal/untilSignal.ts";
import { pipelineConfigOption } from "./configOption.ts";

interface ProverArguments {
  config: string;
  can: string | undefined;
  gpu: number | undefined;
  "mem-gib": number | undefined;
  "drain-seconds": number;
}

const LOOK_EVERY_MS = 100;

export const pipelineProverCommand: CommandModule<object, ProverArguments> = {
  command: "prover",
  describe: "Run a prover node: does the steps that are configured for it",
  builder: (yargs) =>
    yargs
      .options(pipelineConfigOption)
      .option("can", {
        type: "string",
        requiresArg: true,
        describe: "Steps it takes, e.g. prove,agg; default all configured",
      })
      .option("gpu", { type: "number", requiresArg: true, describe: "GPUs that it says it has" })
      .option("mem-gib", {
        type: "number",
        requiresArg: true,
        describe: "Memory that it says it has; default the machine's",
      })
      .option("drain-seconds", {
        type: "number",
        default: 30,
        requiresArg: true,
        describe: "At a stop: how long what runs may go on",
      })
      .example("$0 pipeline prover --config prover.toml --can prove,agg --gpu 1 --mem-gib 64", ""),
  handler: (argv) =>
    reportErrors(async () => {
      const config = await readPipelineConfig(argv.config, "prover", changes(argv));
      const log = createLogger("info");
      const stop = untilSignal();
      const prover = await createProver({ log }, config);
      log.info({ node: prover.nodeId, addr: config.addr, port: prover.port }, "the prover node is ready");
      log.info({ reason: await stop, running: prover.running().length }, "the prover node drains");
      await drained(prover, argv["drain-seconds"] * 1_000);
      await prover[Symbol.asyncDispose]();
    }),
};

function changes(argv: ProverArguments): Record<string, unknown> {
  return {
    ...(argv.can !== undefined && { can: argv.can.split(",").map((step) => step.trim()) }),
    ...(argv.gpu !== undefined && { gpu: argv.gpu }),
    ...(argv["mem-gib"] !== undefined && { mem_gib: argv["mem-gib"] }),
  };
}

async function drained(prover: Prover, limitMs: number): Promise<void> {
  prover.drain();
  const deadline = Date.now() + limitMs;
  while (prover.running().length > 0 && Date.now() < deadline) await delay(LOOK_EVERY_MS);
}
