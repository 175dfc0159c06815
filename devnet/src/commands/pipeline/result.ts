import { writeFile } from "node:fs/promises";
import { safeText } from "gevulot-sdk/node";
import type { PipelineClient, PipelineRunStatus } from "gevulot-sdk/pipeline";
import type { Argv, CommandModule } from "yargs";
import { requireFileTarget } from "../../requireFileTarget.ts";
import type { Output } from "../terminal/report.ts";
import { type RunArguments, runOptions, withClient } from "./client.ts";

export interface WaitArguments {
  wait: boolean;
  timeout: number;
  out: string | undefined;
  json: boolean;
}

const A_DAY_SECONDS = 86_400;

export function waitOptions<T>(yargs: Argv<T>) {
  return yargs
    .option("wait", { type: "boolean", default: false, describe: "Until the run has ended" })
    .option("timeout", {
      type: "number",
      default: A_DAY_SECONDS,
      requiresArg: true,
      describe: "With --wait: for how many seconds; the run goes on then",
    })
    .option("out", { alias: "o", type: "string", requiresArg: true, describe: "File for the proof" })
    .check(({ timeout }) => timeout > 0 || "--timeout wants a number of seconds above 0.");
}

export const pipelineResultCommand: CommandModule<object, RunArguments & WaitArguments> = {
  command: "result <run>",
  describe: "Fetch the proof of a run",
  builder: (yargs) =>
    waitOptions(runOptions(yargs))
      .demandOption("out", "Name a file for the proof with -o.")
      .example("$0 pipeline result 7f0c… -o proof.json", "")
      .example("$0 pipeline result 7f0c… --wait -o proof.json", "of a run that goes on"),
  handler: (argv) =>
    withClient("result", argv, async (client) => {
      await requireFileTarget(argv.out!);
      const run = argv.wait ? await untilEnded(client, argv.run, argv) : await client.status(argv.run);
      return saveProof(client, run, argv);
    }),
};

export function untilEnded(
  client: PipelineClient,
  proofId: string,
  { timeout, json }: WaitArguments,
): Promise<PipelineRunStatus> {
  return client.wait(proofId, {
    timeoutMs: timeout * 1_000,
    ...(!json && { onStatus: createProgress() }),
  });
}

/** What a run that succeeded left, and where it is now. */
export async function saveProof(
  client: PipelineClient,
  run: PipelineRunStatus,
  { out }: WaitArguments,
): Promise<Output> {
  const lines = [`${run.status}: ${run.segments} segments, ${run.tasks.length} tasks`];
  if (out !== undefined) {
    await writeFile(out, await client.result(run));
    lines.push(`Proof: ${out}`);
  }
  return { lines, data: run };
}

/** Says on stderr why nothing goes on, and on a terminal how far it is. */
function createProgress(): (run: PipelineRunStatus) => void {
  let told = "";
  return (run) => {
    const why = run.unserved.join("; ");
    if (why !== told && why !== "") process.stderr.write(`… ${safeText(why)}\n`);
    told = why;
    if (process.stderr.isTTY) showProgress(run);
  };
}

function showProgress(run: PipelineRunStatus): void {
  const done = run.tasks.filter((task) => task.state === "done").length;
  const running = run.tasks.filter((task) => task.state === "running").length;
  process.stderr.write(`\r\x1b[K${done} of ${run.tasks.length} tasks, ${running} at work${leftText(run)}`);
  if (run.status !== "COMPUTING") process.stderr.write("\n");
}

/** `, at least 12 s left`; nothing where nothing is known. */
export function leftText({ estimateSeconds: seconds, isEstimateWhole }: PipelineRunStatus): string {
  if (seconds === null) return "";
  return `, ${isEstimateWhole ? "about" : "at least"} ${Math.ceil(seconds)} s left`;
}
