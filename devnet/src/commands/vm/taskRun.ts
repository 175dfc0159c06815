import { resolve } from "node:path";
import { GevulotError } from "gevulot-sdk";
import { safeText } from "gevulot-sdk/node";
import type { Argv, CommandModule } from "yargs";
import { errorEnvelope, okEnvelope, printEnvelope } from "../terminal/envelope.ts";
import { EXIT_FAILURE, reportErrors } from "../terminal/reportError.ts";
import { type AloneArguments, aloneOptions, prepareAlone } from "./aloneOptions.ts";
import { type AloneResult, runAlone } from "./runAlone.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    TASK_ALONE_FAILED: { readonly reason: string };
  }
}

interface Arguments extends AloneArguments {
  readonly task?: string | undefined;
  readonly workspace: string;
}

const COMMAND = "task run";

const taskRunCommand: CommandModule<object, Arguments> = {
  command: "run <program>",
  describe: "Run one task without a node",
  builder: (yargs: Argv) =>
    aloneOptions(yargs)
      .option("workspace", {
        type: "string",
        requiresArg: true,
        demandOption: true,
        describe: "Folder of the input files; gets task_result.json and the output files",
      })
      .option("task", {
        type: "string",
        requiresArg: true,
        describe: "The task (JSON: id, args, files); default task.json of the workspace",
      })
      .option("json", { type: "boolean", default: false, describe: "One line of JSON" })
      .example("$0 task run prover.mjs --workspace ws", "reads ws/task.json, writes ws/task_result.json"),
  handler: async (given) => {
    if (!given.json) return reportErrors(async () => print(given, await run(given)));
    try {
      const result = await run(given);
      if (result.failure) throw failed(result);
      printEnvelope(okEnvelope(COMMAND, result));
    } catch (error) {
      printEnvelope(errorEnvelope(COMMAND, error));
      process.exitCode = EXIT_FAILURE;
    }
  },
};

async function run(given: Arguments): Promise<AloneResult> {
  const { log, options } = prepareAlone(given);
  return runAlone({ log }, { ...options, taskPath: given.task, workspaceDir: resolve(given.workspace) });
}

function failed({ failure }: AloneResult): GevulotError {
  const reason = `${failure?.code}: ${failure?.message}`;
  return new GevulotError("TASK_ALONE_FAILED", reason, { context: { reason } });
}

function print({ workspace }: Arguments, result: AloneResult): void {
  if (result.consoleTail) process.stderr.write(`console:\n${safeText(result.consoleTail.trimEnd())}\n`);
  if (result.failure) throw failed(result);
  const lines = [
    `result     ${result.dataBytes} bytes, in ${resolve(workspace, "task_result.json")}`,
    `ran        ${(result.tookMs / 1_000).toFixed(1)} s (${result.provider}, ${result.accelerator}, VSOCK: ${result.vsock})`,
    ...result.files.map(({ vmPath, checksum }) => `file       ${vmPath} ${checksum}`),
  ];
  process.stdout.write(`${lines.join("\n")}\n`);
}

export const taskCommand: CommandModule = {
  command: "task",
  describe: "Run a program or an image alone",
  builder: (yargs) => yargs.command(taskRunCommand).demandCommand(1, "Say what to do: task run.").strict(),
  handler: () => {},
};
