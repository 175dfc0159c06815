import { readFile, writeFile } from "node:fs/promises";
import { readKeyFile } from "gevulot-sdk/node";
import {
  createPipelineClient,
  type PipelineClient,
  type PipelineRun,
  type PipelineRunStatus,
} from "gevulot-sdk/pipeline";
import type { Argv, CommandModule } from "yargs";
import { type Output, report } from "./report.ts";

interface ClientArguments {
  url: string;
  keyfile: string;
  json: boolean;
}

function clientOptions<T>(yargs: Argv<T>) {
  return yargs
    .option("url", {
      alias: "u",
      type: "string",
      default: "http://127.0.0.1:50020",
      requiresArg: true,
      describe: "The stage's api_addr",
    })
    .option("keyfile", {
      alias: "k",
      type: "string",
      default: "localkey.pki",
      requiresArg: true,
      describe: "Secret key of an Ethereum account, 32 raw bytes",
    })
    .option("json", { type: "boolean", default: false, describe: "One line of JSON" });
}

function withClient(
  command: string,
  { url, keyfile, json }: ClientArguments,
  work: (client: PipelineClient) => Promise<Output>,
): Promise<void> {
  return report(`pipeline ${command}`, { json }, async () =>
    work(createPipelineClient({ url, key: await readKeyFile(keyfile) })),
  );
}

interface SubmitArguments extends ClientArguments {
  elf: string;
  input: string | undefined;
  "private-input": string | undefined;
  "seg-size": number;
  target: "split" | "agg" | "snark";
  priority: number;
  "max-provers": number;
  out: string | undefined;
  wait: boolean;
}

const submitCommand: CommandModule<object, SubmitArguments> = {
  command: "submit <elf>",
  describe: "Submit a run",
  builder: (yargs) =>
    clientOptions(yargs)
      .positional("elf", { type: "string", demandOption: true, describe: "The program to prove" })
      .option("input", {
        alias: "i",
        type: "string",
        requiresArg: true,
        describe: "File with the public input",
      })
      .option("private-input", { type: "string", requiresArg: true, describe: "File with the private input" })
      .option("seg-size", {
        type: "number",
        default: 131_072,
        requiresArg: true,
        describe: "Steps of a segment",
      })
      .option("target", {
        choices: ["split", "agg", "snark"] as const,
        default: "snark" as const,
        describe: "Where to end",
      })
      .option("priority", {
        type: "number",
        default: 0,
        requiresArg: true,
        describe: "-100 to 100; higher goes first",
      })
      .option("max-provers", {
        type: "number",
        default: 0,
        requiresArg: true,
        describe: "Tasks at once; 0 for all",
      })
      .option("wait", { type: "boolean", default: false, describe: "Until the proof is there" })
      .option("out", {
        alias: "o",
        type: "string",
        requiresArg: true,
        describe: "With --wait: where the proof goes",
      })
      .example("$0 pipeline submit guest.elf -i input.json --wait -o proof.json", ""),
  handler: (argv) =>
    withClient("submit", argv, async (client) => {
      const read = async (path: string | undefined, name: string) =>
        path === undefined ? {} : { [name]: await readFile(path) };
      const run = await client.submit({
        elf: await readFile(argv.elf),
        ...(await read(argv.input, "publicInput")),
        ...(await read(argv["private-input"], "privateInput")),
        segSize: argv["seg-size"],
        target: argv.target,
        priority: argv.priority,
        maxProvers: argv["max-provers"],
      });
      if (!argv.wait) return { lines: [`Run: ${run.proofId}`], data: run };
      if (!argv.json) process.stdout.write(`Run: ${run.proofId}\n`);
      const done = await client.wait(run.proofId, argv.json ? {} : { onStatus: createProgress() });
      const lines = [`${done.status}: ${done.segments} segments, ${done.tasks.length} tasks`];
      if (argv.out !== undefined) {
        await writeFile(argv.out, await client.result(done));
        lines.push(`Proof: ${argv.out}`);
      }
      return { lines, data: done };
    }),
};

/** A line on a terminal that says how far it is. */
function createProgress(): (status: PipelineRunStatus) => void {
  if (!process.stderr.isTTY) return () => {};
  return (status) => {
    const done = status.tasks.filter((task) => task.state === "done").length;
    const left = status.estimateSeconds === null ? "" : `, about ${Math.ceil(status.estimateSeconds)} s left`;
    const running = status.tasks.filter((task) => task.state === "running").length;
    process.stderr.write(`\r\x1b[K${done} of ${status.tasks.length} tasks, ${running} at work${left}`);
    if (status.status !== "COMPUTING") process.stderr.write("\n");
  };
}

interface RunArguments extends ClientArguments {
  run: string;
}

const runOptions = (yargs: Argv) =>
  clientOptions(yargs).positional("run", {
    type: "string",
    demandOption: true,
    describe: "The run's proof_id",
  });

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
  const left = status.estimateSeconds === null ? "" : `, about ${Math.ceil(status.estimateSeconds)} s left`;
  const lines = [`${status.proofId}  ${status.status}${left}`];
  if (status.error) lines.push(`  ${status.error}`);
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
  submitCommand,
  statusCommand,
  listCommand,
  changeCommand("cancel", "End a run and its tasks"),
  changeCommand("retry", "Let a failed run go on from what is done"),
] as unknown as readonly CommandModule<object, never>[];
