import type { PipelineRun, PipelineRunStatus } from "gevulot-sdk/pipeline";
import type { CommandModule } from "yargs";
import { type ClientArguments, clientOptions, type RunArguments, runOptions, withClient } from "./client.ts";
import { leftText, pipelineResultCommand } from "./result.ts";
import { pipelineSubmitCommand } from "./submit.ts";

const statusCommand: CommandModule<object, RunArguments> = {
  command: "status <run>",
  describe: "Show a run and its tasks: where each runs, how long, why it failed",
  builder: (yargs) => runOptions(yargs).example("$0 pipeline status 7f0c…", ""),
  handler: (argv) =>
    withClient("status", argv, async (client) => {
      const status = await client.status(argv.run);
      return { lines: statusLines(status), data: status };
    }),
};

function statusLines(status: PipelineRunStatus): string[] {
  const lines = [`${status.proofId}  ${status.status}${leftText(status)}`];
  for (const reason of [...(status.error ? [status.error] : []), ...status.unserved])
    lines.push(`  ${reason}`);
  for (const task of status.tasks) {
    const took = task.seconds === null ? "" : `${task.seconds.toFixed(1)} s`;
    const about = [task.key.padEnd(12), task.state.padEnd(8), took.padStart(9), ` ${task.node ?? ""}`].join(
      " ",
    );
    lines.push(`  ${about}${task.error ? `  ${task.error}` : ""}`.trimEnd());
  }
  return lines;
}

interface ListArguments extends ClientArguments {
  state: "running" | "finished" | undefined;
  limit: number;
}

const listCommand: CommandModule<object, ListArguments> = {
  command: "list",
  describe: "List your runs, the newest first",
  builder: (yargs) =>
    clientOptions(yargs)
      .option("state", { choices: ["running", "finished"] as const, describe: "Only these" })
      .option("limit", { type: "number", default: 20, requiresArg: true, describe: "How many" })
      .example("$0 pipeline list --state running", ""),
  handler: (argv) =>
    withClient("list", argv, async (client) => {
      const { state, limit } = argv;
      const runs = await client.list({ limit, ...(state && { state }) });
      return { lines: runs.length > 0 ? runs.map(runLine) : ["No runs."], data: runs };
    }),
};

function runLine(run: PipelineRun): string {
  return `${run.proofId}  ${run.createdAt.toISOString()}  ${run.status.padEnd(12)} ${run.error ?? ""}`.trimEnd();
}

const changeCommand = (name: "cancel" | "retry", describe: string): CommandModule<object, RunArguments> => ({
  command: `${name} <run>`,
  describe,
  builder: (yargs) => runOptions(yargs).example(`$0 pipeline ${name} 7f0c…`, ""),
  handler: (argv) =>
    withClient(name, argv, async (client) => {
      const run = await client[name](argv.run);
      return { lines: [runLine(run)], data: run };
    }),
});

export const pipelineRunCommands: readonly CommandModule<object, never>[] = [
  pipelineSubmitCommand,
  statusCommand,
  pipelineResultCommand,
  listCommand,
  changeCommand("cancel", "End a run and its tasks"),
  changeCommand("retry", "Let a failed run go on from what is done"),
] as unknown as readonly CommandModule<object, never>[];
