import { copyFile, mkdir } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { GevulotError } from "gevulot-sdk";
import { safeText } from "gevulot-sdk/node";
import type { Argv, CommandModule } from "yargs";
import { vmPathProblem, workspaceRelative } from "../../files/layout.ts";
import { parseManifest } from "../../image/manifest.ts";
import { isNanos } from "../../image/nanos/openNanos.ts";
import { withOverrides } from "../../image/programRequest.ts";
import { copyFromWorkspace, OutputFileProblem } from "../../result/collectFiles.ts";
import { TRACE_FILE } from "../../vm/trace.ts";
import { parseEnv, parseMount, readManifest } from "../image/build.ts";
import { createConsoleText } from "../terminal/consoleText.ts";
import { errorEnvelope, okEnvelope, printEnvelope } from "../terminal/envelope.ts";
import { EXIT_FAILURE, reportErrors } from "../terminal/reportError.ts";
import { type AloneArguments, aloneOptions, prepareAlone } from "./aloneOptions.ts";
import { type AloneVm, isProgram, runAloneVm, writeResult } from "./aloneVm.ts";
import { createLiveConsole } from "./liveConsole.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    INPUT_ARGUMENT: { readonly argument: string };
    VM_RUN_OPTION: { readonly option: string };
  }
}

interface Arguments extends AloneArguments {
  readonly config?: string | undefined;
  readonly args?: string[] | undefined;
  readonly env?: string[] | undefined;
  readonly mounts?: string[] | undefined;
  readonly exec: boolean;
  readonly "proof-file"?: string | undefined;
  readonly "output-file"?: string[] | undefined;
  readonly "working-dir"?: string | undefined;
  readonly arg?: string[] | undefined;
  readonly input?: string[] | undefined;
  readonly "output-dir"?: string | undefined;
  readonly trace?: string | undefined;
  readonly "idle-seconds"?: number | undefined;
}

type HowGiven = Pick<
  Arguments,
  "program" | "config" | "args" | "env" | "mounts" | "exec" | "proof-file" | "output-file" | "working-dir"
>;

const COMMAND = "vm run";
const TASK_ID = "vm-run";
const MAX_TRACE_BYTES = 2 ** 40;

const one = { type: "string", requiresArg: true } as const;
const many = { type: "string", array: true, nargs: 1 } as const;

function options(yargs: Argv) {
  return aloneOptions(yargs)
    .option("config", {
      ...one,
      alias: "c",
      describe: "Manifest (JSON) of a program; of an image RunConfig and volumes count",
    })
    .option("args", {
      ...many,
      alias: "a",
      describe: "An argument of a program, as in image build; replaces Args",
    })
    .option("env", { ...many, alias: "e", describe: "K=V; repeatable, added to a program's Env" })
    .option("mounts", { ...many, describe: "VOLUME:/path, :ro at the end for reading only; repeatable" })
    .option("exec", { type: "boolean", default: false, describe: "As in image build, for a program" })
    .option("proof-file", { ...one, describe: "As in image build, for a program" })
    .option("output-file", { ...many, describe: "As in image build, for a program" })
    .option("working-dir", { ...one, describe: "Where the manifest's files are; default the current folder" })
    .option("arg", { ...many, describe: "An argument of the task; repeatable" })
    .option("input", { ...many, describe: "FILE:/workspace/x, a file of the task; repeatable" })
    .option("output-dir", { ...one, alias: "o", describe: "Gets task_result.json and the output files" })
    .option("trace", {
      ...one,
      describe: "File for the kernel's log and the program's files and system calls",
    })
    .option("idle-seconds", {
      type: "number",
      requiresArg: true,
      describe: "It is stopped when it did nothing for so long; default never",
    })
    .option("json", { type: "boolean", default: false, describe: "One line of JSON, without the console" });
}

const vmRunCommand: CommandModule<object, Arguments> = {
  command: "run <program>",
  describe: "Run an image or a program once in a VM, without a node and a network",
  builder: (yargs: Argv) =>
    options(yargs)
      .check(
        ({ "idle-seconds": idle }) => idle === undefined || idle > 0 || "--idle-seconds must be more than 0.",
      )
      .example("$0 vm run prover.mjs --input in.txt:/workspace/in.txt", "its console here, its exit code too")
      .example("$0 vm run benchy -c benchy.json --mounts params:/tmp", "with the volume params"),
  handler: async (given) => {
    if (!given.json) return reportErrors(() => runAndShow(given));
    try {
      await using vm = await run(given);
      printEnvelope(okEnvelope(COMMAND, jsonOf(vm)));
      process.exitCode = exitCodeOf(vm);
    } catch (error) {
      printEnvelope(errorEnvelope(COMMAND, error));
      process.exitCode = EXIT_FAILURE;
    }
  },
};

async function runAndShow(given: Arguments): Promise<void> {
  await using vm = await run(given);
  const { result, facts } = vm;
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  process.exitCode = exitCodeOf(vm);
  if ("data" in result) {
    say(`result     ${result.data.length} bytes`);
    for (const { vmPath, checksum } of result.files) say(`file       ${vmPath} ${checksum}`);
  } else if (result.isMissing) say(`no result  ${result.failure.message}`);
  else say(`error: ${result.failure.code}: ${safeText(result.failure.message)}`);
  say(
    `ran        ${(facts.tookMs / 1_000).toFixed(1)} s (${facts.provider}, ${facts.accelerator}, VSOCK: ${facts.vsock})`,
  );
}

/** The program's own; 1 for what isn't one, and for a result that is wrong. */
function exitCodeOf({ outcome, result }: AloneVm): number {
  if (outcome.resultDecides && "data" in result) return 0;
  if (outcome.kind === "exited" && outcome.exitCode !== 0) return outcome.exitCode;
  return "data" in result || result.isMissing ? 0 : EXIT_FAILURE;
}

function jsonOf(vm: AloneVm) {
  const { facts, outcome, result, consoleTail } = vm;
  const base = { ...facts, outcome, consoleTail };
  if ("failure" in result) return { ...base, failure: result.failure, data: null, files: [] };
  const files = result.files.map(({ vmPath, checksum }) => ({ vmPath, checksum }));
  return { ...base, failure: null, data: Buffer.from(result.data).toString("base64"), files };
}

async function run(given: Arguments): Promise<AloneVm> {
  const { log, say, options: alone } = prepareAlone(given);
  const inputs = (given.input ?? []).map(parseInput);
  const tracePath = given.trace === undefined ? null : resolve(given.trace);
  const { build, volumes, runConfig } = await howToBuild(given);
  if (tracePath !== null && build === undefined && (await isNanos(alone.program))) {
    throw optionError(
      "trace",
      `--trace can't be used: ${given.program} is a Nanos image, whose kernel keeps no trace.`,
    );
  }
  const consoleText = createConsoleText();
  // To a file or a pipe it goes as it is.
  const shown = (chunk: Uint8Array) => (process.stdout.isTTY ? consoleText(chunk) : chunk);
  const live = createLiveConsole(process.stdout);
  const vm = await runAloneVm(
    { log },
    {
      ...alone,
      ...(build ? { build } : {}),
      task: { id: TASK_ID, args: given.arg ?? [], files: inputs.map(({ vmPath }) => vmPath) },
      fill: (workspace) => fill(workspace, inputs),
      idleLimitMs: given["idle-seconds"] === undefined ? undefined : given["idle-seconds"] * 1_000,
      volumes,
      runConfig,
      trace: tracePath !== null,
      ...(given.json ? {} : { onConsole: (chunk) => live.write(shown(chunk)) }),
    },
  );
  live.end();
  try {
    if (tracePath !== null) {
      await copyFromWorkspace(vm.workspace, TRACE_FILE, tracePath, MAX_TRACE_BYTES).catch(
        (error: unknown) => {
          if (!(error instanceof OutputFileProblem)) throw error;
          say("no trace   The guest did not get as far as that.");
        },
      );
    }
    if (given["output-dir"] !== undefined)
      await writeResult(resolve(given["output-dir"]), TASK_ID, vm.result);
    return vm;
  } catch (error) {
    await vm[Symbol.asyncDispose]();
    throw error;
  }
}

/** A program is built as `image build` does it; an image is as it is, but for more volumes and a manifest's RunConfig. */
export async function howToBuild(given: HowGiven) {
  const mounts = Object.fromEntries((given.mounts ?? []).map(parseMount));
  const manifest = given.config === undefined ? {} : await readManifest(given.config);
  if (await isProgram(resolve(given.program))) {
    const [proofFile, outputs] = [given["proof-file"], given["output-file"]];
    const build = {
      manifest,
      mounts,
      libraryPath: process.env.LD_LIBRARY_PATH,
      ...(given.args ? { args: given.args } : {}),
      ...(given.env ? { env: Object.fromEntries(given.env.map(parseEnv)) } : {}),
      ...(given.exec || proofFile !== undefined || outputs ? { exec: { proofFile, outputs } } : {}),
      ...(given["working-dir"] === undefined ? {} : { workingDir: given["working-dir"] }),
    };
    return { build, volumes: [], runConfig: undefined };
  }
  const ofProgram = ["args", "env", "proof-file", "output-file", "working-dir"] as const;
  const option = given.exec ? "exec" : ofProgram.find((name) => given[name] !== undefined);
  if (option !== undefined) {
    const message = `--${option} is for programs, and ${given.program} is an image (or no program at all): what it runs was settled by image build.`;
    throw optionError(option, message);
  }
  const share = Object.keys(mounts).find((id) => id.startsWith("%"));
  if (share !== undefined) {
    const message = `--mounts ${share}:… is for programs, and ${given.program} is an image: where it has its workspace was settled by image build.`;
    throw optionError("mounts", message);
  }
  const { volumes, runConfig } = parseManifest(withOverrides({ manifest, mounts }));
  return { build: undefined, volumes, runConfig };
}

function optionError(option: string, message: string): GevulotError<"VM_RUN_OPTION"> {
  return new GevulotError("VM_RUN_OPTION", message, { context: { option } });
}

interface Input {
  readonly source: string;
  readonly vmPath: string;
}

function parseInput(argument: string): Input {
  const at = argument.lastIndexOf(":");
  const [source, vmPath] = [argument.slice(0, at), argument.slice(at + 1)];
  const problem = at < 1 ? "there is no colon in it" : vmPathProblem(vmPath);
  if (problem === null) return { source: resolve(source), vmPath };
  const message = `--input ${argument} can't be used: ${problem}. Write FILE:/workspace/name.`;
  throw new GevulotError("INPUT_ARGUMENT", message, { context: { argument } });
}

async function fill(workspace: string, inputs: readonly Input[]): Promise<void> {
  await mkdir(workspace, { recursive: true });
  for (const { source, vmPath } of inputs) {
    const target = join(workspace, workspaceRelative(vmPath));
    await mkdir(dirname(target), { recursive: true });
    await copyFile(source, target);
  }
}

export const vmCommand: CommandModule = {
  command: "vm",
  describe: "Run an image or a program in a virtual machine",
  builder: (yargs) => yargs.command(vmRunCommand).demandCommand(1, "Say what to do: vm run.").strict(),
  handler: () => {},
};
