import { join } from "node:path";
import type { Argv, CommandModule, InferredOptionTypes } from "yargs";
import type { RunHandle } from "../client/runHandle.ts";
import type { RunResult } from "../client/runResult.ts";
import { optionInvalid } from "../context/checkOptions.ts";
import { type CommonArguments, createClient, fileOptions } from "./commonOptions.ts";
import { type Output, runCommand } from "./output.ts";
import { withProgress } from "./progressLine.ts";
import { readTasks, tasksOption } from "./tasksOption.ts";

const execOptions = {
  ...tasksOption,
  ...fileOptions,
  deadline: { type: "number", describe: "The run fails if it has not ended after so many seconds" },
} as const;
type ExecArguments = CommonArguments & InferredOptionTypes<typeof execOptions>;

const waitOptions = {
  wait: { type: "boolean", default: false, describe: "Until it has a result, and show that" },
  timeout: { type: "number", default: 600, describe: "How long to wait, in seconds" },
  "min-verifications": { type: "number", default: 1, describe: "How many verifications to wait for" },
  "output-dir": { type: "string", describe: "With --wait: a folder for the proofs' files" },
} as const;
type RunArguments = ExecArguments & InferredOptionTypes<typeof waitOptions>;

const sentLine = (hash: string) => `Programs send to execution correctly. Tx hash:${hash}`;

export const execCommand: CommandModule<object, ExecArguments> = {
  command: "exec",
  describe: "Send programs to execution, and don't wait",
  builder: (yargs: Argv) => yargs.options(execOptions) as Argv<ExecArguments>,
  handler: (args) =>
    runCommand("exec", args, async () => {
      const { hash } = await send(args);
      return { lines: [sentLine(hash)], data: { hash } };
    }),
};

export const runRunCommand: CommandModule<object, RunArguments> = {
  command: "run",
  describe: "Send programs to execution; with --wait until they are verified",
  builder: (yargs: Argv) =>
    yargs
      .options({ ...execOptions, ...waitOptions })
      .example("$0 run -t @tasks.json --wait", "shows the proofs and verifications") as Argv<RunArguments>,
  handler: (args) =>
    runCommand("run", args, async () => {
      if (!(args.timeout > 0)) throw optionInvalid("--timeout", "give a number of seconds above 0");
      if (args["output-dir"] !== undefined && !args.wait)
        throw optionInvalid("--output-dir", "there are no files before the result; give --wait too");
      const run = await send(args);
      if (!args.wait) return { lines: [sentLine(run.hash)], data: { hash: run.hash } };
      if (!args.json) process.stdout.write(`${sentLine(run.hash)}\n`);
      const result = await waitAndTell(run, args);
      return describeResult(result, await saveFiles(result, args["output-dir"]));
    }),
};

async function send(args: ExecArguments): Promise<RunHandle> {
  const { deadline } = args;
  if (deadline !== undefined && !(deadline > 0))
    throw optionInvalid("--deadline", "give a number of seconds above 0");
  const client = createClient(args, args);
  const steps = await readTasks(args.tasks);
  return withProgress(args, (onProgress) =>
    client.run({
      ...{ steps, onProgress },
      ...(deadline !== undefined && { deadlineMs: Math.ceil(deadline * 1_000) }),
    }),
  );
}

/** Stages go to stderr as they change. */
async function waitAndTell(run: RunHandle, args: RunArguments): Promise<RunResult> {
  let shown = "";
  return run.result({
    timeoutMs: args.timeout * 1000,
    minVerifications: args["min-verifications"],
    onStatus: ({ state, tasks }) => {
      const waiting = tasks.find((task) => task.state === "queued")?.waitsFor;
      const text = waiting ? `${state}: ${waiting}` : state;
      if (!args.json && text !== shown) process.stderr.write(`… ${text}\n`);
      shown = text;
    },
  });
}

async function saveFiles(
  result: RunResult,
  folder: string | undefined,
): Promise<ReadonlyMap<string, string>> {
  const saved = new Map<string, string>();
  if (folder === undefined) return saved;
  for (const { hash, files } of result.proofs) {
    for (const file of files) {
      const path = join(folder, hash, file.vmPath.split("/").at(-1) || file.checksum);
      await file.download(path);
      saved.set(file.url, path);
    }
  }
  return saved;
}

function describeResult(result: RunResult, saved: ReadonlyMap<string, string>): Output {
  const base64 = (data: Uint8Array) => Buffer.from(data).toString("base64");
  const filesOf = (files: RunResult["proofs"][number]["files"]) =>
    files.map(({ vmPath, checksum, url }) => ({ vmPath, checksum, url, path: saved.get(url) ?? null }));
  const proofs = result.proofs.map(({ data, files, ...proof }) => ({
    ...proof,
    data: base64(data),
    files: filesOf(files),
  }));
  const verifications = result.verifications.map(({ data, files, ...verification }) => ({
    ...verification,
    data: base64(data),
    files: filesOf(files),
  }));
  const lines = [
    ...proofs.flatMap(({ hash, data, files }) => [
      `Proof: ${hash}`,
      `  data (base64): ${data}`,
      ...files.map(({ vmPath, url, path }) => `  file ${vmPath}: ${path ?? url}`),
    ]),
    ...verifications.flatMap(({ hash, data }) => [`Verification: ${hash}`, `  data (base64): ${data}`]),
    ...(result.verifiersAgree ? [] : ["The verifiers disagree: their data differ."]),
  ];
  return { lines, data: { hash: result.run, proofs, verifications, verifiersAgree: result.verifiersAgree } };
}
