import { GevulotError } from "gevulot-sdk";
import type { Argv, CommandModule } from "yargs";
import { checkProgram, type ProgramCheck } from "../../image/check/checkProgram.ts";
import { checkGpuImage, type GpuFinding, isUsable } from "../../image/gpu/checkGpu.ts";
import { errorEnvelope, okEnvelope, printEnvelope } from "../terminal/envelope.ts";
import { EXIT_FAILURE, reportErrors } from "../terminal/reportError.ts";
import { stoppable } from "../terminal/stoppable.ts";
import { readManifest } from "./build.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    IMAGE_LACKS: { readonly program: string; readonly missing: readonly string[] };
  }
}

interface Arguments {
  readonly program: string;
  readonly config?: string | undefined;
  readonly "working-dir"?: string | undefined;
  readonly workspace?: string | undefined;
  readonly "timeout-seconds": number;
  readonly gpu: boolean;
  readonly json: boolean;
  readonly "--"?: readonly unknown[];
}

const one = { type: "string", requiresArg: true } as const;
const COMMAND = "image check";

export const imageCheckCommand: CommandModule<object, Arguments> = {
  command: "check <program>",
  describe: "Run a program on this machine and say which files it opens that its image lacks",
  builder: (yargs: Argv) =>
    yargs
      .parserConfiguration({ "populate--": true })
      .usage("$0 image check <program> [options] [-- arguments]")
      .positional("program", {
        type: "string",
        demandOption: true,
        describe: "A program as for image build, or an image",
      })
      .option("config", { ...one, alias: "c", describe: "Manifest (JSON)" })
      .option("working-dir", {
        ...one,
        describe: "Where the manifest's files are; default the current folder",
      })
      .option("workspace", { ...one, describe: "A folder with a task.json, for a program that takes a task" })
      .option("timeout-seconds", {
        type: "number",
        requiresArg: true,
        default: 60,
        describe: "Then it is stopped",
      })
      .option("gpu", {
        type: "boolean",
        default: false,
        describe: "Say what an image lacks for a GPU; nothing is run",
      })
      .option("json", { type: "boolean", default: false, describe: "One line of JSON" })
      .check((argv) => (argv["timeout-seconds"] as number) > 0 || "--timeout-seconds must be more than 0.")
      .example("$0 image check ./prover -c prover.json -- --size 2KiB", ""),
  handler: async (given) => {
    if (given.gpu) return checkForGpu(given);
    if (!given.json) return reportErrors(async () => refuse(given, print(await check(given))));
    try {
      const found = await check(given);
      refuse(given, found);
      printEnvelope(okEnvelope(COMMAND, found));
    } catch (error) {
      printEnvelope(errorEnvelope(COMMAND, error));
      process.exitCode = EXIT_FAILURE;
    }
  },
};

async function checkForGpu({ program, json }: Arguments): Promise<void> {
  const found = async () => {
    const findings = await stoppable((signal) => checkGpuImage(program, signal));
    if (!json) process.stdout.write(`${findings.map(gpuLine).join("\n")}\n`);
    if (isUsable(findings)) return findings;
    const missing = findings.filter(({ state }) => state !== "ok").map(({ part }) => part);
    const message = `${program} can't use a GPU: ${missing.join(", ")}. Mend what is shown.`;
    throw new GevulotError("IMAGE_LACKS", message, { context: { program, missing } });
  };
  if (!json) return reportErrors(async () => void (await found()));
  try {
    printEnvelope(okEnvelope(COMMAND, { findings: await found() }));
  } catch (error) {
    printEnvelope(errorEnvelope(COMMAND, error));
    process.exitCode = EXIT_FAILURE;
  }
}

function gpuLine({ part, state, text }: GpuFinding): string {
  return `${state.padEnd(8)} ${part.padEnd(18)} ${text}`;
}

async function check(given: Arguments): Promise<ProgramCheck> {
  const args = given["--"]?.map(String);
  const manifest = given.config === undefined ? {} : await readManifest(given.config);
  return stoppable((signal) =>
    checkProgram({
      program: given.program,
      manifest,
      runArgs: args && args.length > 0 ? args : undefined,
      workingDir: given["working-dir"],
      workspaceDir: given.workspace,
      timeoutMs: given["timeout-seconds"] * 1_000,
      signal,
    }),
  );
}

function refuse({ program }: Arguments, { libraries, programs, data }: ProgramCheck): void {
  const missing = [...libraries, ...programs, ...data];
  if (missing.length === 0) return;
  const message = `The image lacks ${missing.length} of the files that ${program} opens. Add what is shown to its manifest.`;
  throw new GevulotError("IMAGE_LACKS", message, { context: { program, missing } });
}

function print(found: ProgramCheck): ProgramCheck {
  const how = found.timedOut
    ? "was stopped after its time"
    : found.exitCode === null
      ? "was ended by a signal"
      : `ended with exit code ${found.exitCode}`;
  const lines = [
    `It opened ${found.openedFiles} files (seen by ${found.by}) and ${how}.`,
    ...(found.by === "loader"
      ? ["note: strace is not installed, or may not trace here: libraries were seen, data was not."]
      : []),
    ...found.notes.map((note) => `note: ${note}`),
    ...found.libraries.map((path) => `missing library  ${path}`),
    ...found.programs.map((path) => `missing program  ${path}`),
    ...found.data.map((path) => `missing file     ${path}`),
    ...found.written.map(
      (path) => `written          ${path}  (gone with the machine; results go to the workspace)`,
    ),
    ...(found.manifest ? ["for the manifest:", ...manifestText(found.manifest)] : ["nothing is missing"]),
  ];
  process.stdout.write(`${lines.join("\n")}\n`);
  return found;
}

function manifestText(lines: object): string[] {
  const entries = Object.entries(lines);
  return entries.map(([key, value], at) => {
    const comma = at + 1 < entries.length ? "," : "";
    return `  ${JSON.stringify(key)}: ${JSON.stringify(value)}${comma}`;
  });
}
